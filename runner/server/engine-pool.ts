import type { ModelInfo } from '../../src/engine/engine.ts';
import { TillerError } from '../../src/errors/error.ts';
import { EngineSlot, type SlotLimits, type WorkEvents } from './engine-slot.ts';
import type { StartEngine } from './engine-process.ts';
import type { EngineModel, Work } from './engine-protocol.ts';

export interface PoolOptions extends SlotLimits {
  /** Models that are kept in memory at once; the one that was used longest ago gives way. */
  readonly loaded: number;
  /** Requests that may wait, over all models. */
  readonly queue: number;
  /** Milliseconds that an engine gets to close by itself. */
  readonly patience: number;
  readonly now: () => number;
  readonly onRestart: (model: string, problem: string) => void;
}

const WATCH_EVERY = 1000;

/** The engines of a runner, by name of their model. */
export class EnginePool {
  readonly #slots: ReadonlyMap<string, EngineSlot>;
  readonly #options: PoolOptions;
  readonly #timer: NodeJS.Timeout;
  #stopping = false;

  constructor(models: readonly EngineModel[], start: (model: EngineModel) => StartEngine, options: PoolOptions) {
    this.#options = options;
    this.#slots = new Map(
      models.map((model) => [
        model.name,
        new EngineSlot(model, start(model), options, options.now, {
          onChange: () => this.#makeRoom(),
          onRestart: (problem) => options.onRestart(model.name, problem),
          mayLoad: () => this.#loaded() < options.loaded,
        }),
      ]),
    );
    this.#timer = setInterval(() => this.watch(), WATCH_EVERY);
    this.#timer.unref();
  }

  #loaded(): number {
    return [...this.#slots.values()].filter((slot) => slot.loaded).length;
  }

  /** Lets an idle engine go where another model is waited for. */
  #makeRoom(): void {
    if (this.#stopping) return;
    const starved = [...this.#slots.values()].filter((slot) => slot.wanted && !slot.loaded);
    if (starved.length === 0) return;
    if (this.#loaded() < this.#options.loaded) {
      starved[0].advance();
      return;
    }
    const idle = [...this.#slots.values()].filter((slot) => slot.idle).sort((a, b) => a.lastUsed - b.lastUsed);
    void idle.at(0)?.unload(this.#options.patience);
  }

  /** Looks after all engines; called by a timer, and by tests. */
  watch(): void {
    for (const slot of this.#slots.values()) slot.watch();
    this.#makeRoom();
  }

  /** @throws runner/model */
  slot(name: string): EngineSlot {
    const slot = this.#slots.get(name);
    if (!slot) throw new TillerError('runner/model', { model: name.slice(0, 200), known: [...this.#slots.keys()].join(', ') || 'none' });
    return slot;
  }

  /** Engines that hold a process. */
  get engines(): number {
    return this.#loaded();
  }

  /** Bytes that their processes have resident, as they last said. */
  get memory(): number {
    return [...this.#slots.values()].reduce((sum, { memory }) => sum + memory, 0);
  }

  get restarts(): number {
    return [...this.#slots.values()].reduce((sum, { restarts }) => sum + restarts, 0);
  }

  busy(): { running: number; queued: number; jobs: number } {
    const total = { running: 0, queued: 0, jobs: 0 };
    for (const slot of this.#slots.values()) {
      const { running, queued, jobs } = slot.busy();
      total.running += running;
      total.queued += queued;
      total.jobs += jobs;
    }
    return total;
  }

  load(name: string, events: WorkEvents, signal: AbortSignal): Promise<ModelInfo> {
    const slot = this.slot(name);
    this.#admit();
    const loaded = slot.load(events, signal);
    this.#makeRoom();
    return loaded;
  }

  /**
   * Runs work on a model.
   * @throws runner/model, runner/busy, runner/stopping, runner/engine-restarted, and what the engine throws
   */
  run(name: string, work: Work, events: WorkEvents, signal: AbortSignal): Promise<unknown> {
    const slot = this.slot(name);
    this.#admit();
    const result = slot.run(work, events, signal);
    this.#makeRoom();
    return result;
  }

  #admit(): void {
    if (this.#stopping) throw new TillerError('runner/stopping');
    const { queued } = this.busy();
    if (queued >= this.#options.queue) throw new TillerError('runner/busy', { problem: `${queued} requests wait already` });
  }

  /** Stops all engines and gives their memory back. */
  async close(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#timer);
    await Promise.all([...this.#slots.values()].map((slot) => slot.close(new TillerError('runner/stopping'), this.#options.patience)));
  }
}
