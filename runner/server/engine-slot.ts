import type { LoadProgress, ModelInfo, Step } from '../../src/engine/engine.ts';
import { TillerError } from '../../src/errors/error.ts';
import type { UnitStore } from '../../src/evals/unit-store.ts';
import type { JobListener } from '../jobs/job-place.ts';
import { asTillerError } from '../output.ts';
import type { EngineProcess, StartEngine } from './engine-process.ts';
import type { FromEngine, EngineModel, Work } from './engine-protocol.ts';

/** What a request hears while it waits and runs. */
export interface WorkEvents {
  readonly onStep?: (step: Step) => void;
  readonly onProgress?: (done: number, total: number) => void;
  readonly onReport?: JobListener;
  /** Where a job's finished units are kept. */
  readonly units?: UnitStore;
  readonly onLoading?: (progress: LoadProgress) => void;
  /** How many are before it; 0 when it begins. */
  readonly onQueued?: (position: number) => void;
}

export interface SlotLimits {
  /** Milliseconds without a sign of life after which an engine is taken for hung. */
  readonly silent: number;
  /** Milliseconds without progress of the work that runs. */
  readonly stuck: number;
}

interface Task {
  readonly id: number;
  /** Null: only load. */
  readonly work: Work | null;
  readonly events: WorkEvents;
  readonly signal: AbortSignal;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: TillerError) => void;
  readonly onAbort: () => void;
}

export type SlotState = 'cold' | 'loading' | 'ready' | 'failed';

/**
 * One model, one engine, one process, and who waits for it. Requests run one after the other in the order in which they came; jobs run beside them, one
 * at a time, and the engine takes turns. A process that hangs or ends is replaced: what it was doing fails with runner/engine-restarted, what
 * waits goes on.
 */
export class EngineSlot {
  #process: EngineProcess | null = null;
  #state: SlotState = 'cold';
  #info: ModelInfo | null = null;
  #problem: string | null = null;
  #restarts = 0;
  #next = 1;
  /** Counts processes, so that messages of one that was killed are told apart. */
  #generation = 0;
  #lastBeat = 0;
  #lastProgress = 0;
  #lastUsed = 0;
  #memory = 0;
  readonly #waiting: Task[] = [];
  readonly #waitingJobs: Task[] = [];
  readonly #running = new Map<number, Task>();
  #closing: Promise<void> | null = null;
  #closed: (() => void) | null = null;

  constructor(
    readonly model: EngineModel,
    private readonly start: StartEngine,
    private readonly limits: SlotLimits,
    private readonly now: () => number,
    private readonly events: {
      readonly onChange: () => void;
      readonly onRestart: (problem: string) => void;
      readonly mayLoad: () => boolean;
    },
  ) {}

  get state(): SlotState {
    return this.#state;
  }
  get info(): ModelInfo | null {
    return this.#info;
  }
  get problem(): string | null {
    return this.#problem;
  }
  get restarts(): number {
    return this.#restarts;
  }
  /** Bytes that its process last said to have resident. */
  get memory(): number {
    return this.#memory;
  }
  get lastUsed(): number {
    return this.#lastUsed;
  }
  /** Whether it holds a process and nobody needs it. */
  get idle(): boolean {
    return (
      this.#process !== null && this.#running.size + this.#waiting.length + this.#waitingJobs.length === 0 && this.#state !== 'loading'
    );
  }
  get loaded(): boolean {
    return this.#process !== null;
  }
  get wanted(): boolean {
    return this.#waiting.length + this.#waitingJobs.length > 0;
  }

  busy(): { readonly running: number; readonly queued: number; readonly jobs: number } {
    const jobs = [...this.#running.values()].filter(isJob).length;
    return { running: this.#running.size - jobs, queued: this.#waiting.length + this.#waitingJobs.length, jobs };
  }

  /** Loads the model where it is not loaded. */
  async load(events: WorkEvents, signal: AbortSignal): Promise<ModelInfo> {
    await this.#enqueue(null, events, signal);
    if (!this.#info) throw new TillerError('internal', { problem: 'the model is loaded and says nothing of itself' });
    return this.#info;
  }

  /** Runs work in the process. @throws the engine's error; runner/engine-restarted, request/aborted */
  run(work: Work, events: WorkEvents, signal: AbortSignal): Promise<unknown> {
    return this.#enqueue(work, events, signal);
  }

  #enqueue(work: Work | null, events: WorkEvents, signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject: (error: TillerError) => void) => {
      if (signal.aborted) return reject(new TillerError('request/aborted'));
      const id = this.#next++;
      const task: Task = { id, work, events, signal, resolve, reject, onAbort: () => this.#abort(task) };
      signal.addEventListener('abort', task.onAbort, { once: true });
      (isJob(task) ? this.#waitingJobs : this.#waiting).push(task);
      this.advance();
      const position = this.#waiting.indexOf(task);
      if (position >= 0) events.onQueued?.(position + (this.busy().running > 0 ? 1 : 0));
    });
  }

  #abort(task: Task): void {
    for (const list of [this.#waiting, this.#waitingJobs]) {
      const at = list.indexOf(task);
      if (at < 0) continue;
      list.splice(at, 1);
      this.#settle(task, new TillerError('request/aborted'));
      return;
    }
    if (this.#running.has(task.id)) this.#process?.post({ type: 'stop', id: task.id });
  }

  #settle(task: Task, outcome: TillerError | { readonly value: unknown }): void {
    task.signal.removeEventListener('abort', task.onAbort);
    this.#lastUsed = this.now();
    if (outcome instanceof TillerError) task.reject(outcome);
    else task.resolve(outcome.value);
  }

  /** Does what can be done now: starts a process for who waits, gives it its next work. */
  advance(): void {
    if (this.#closing) return;
    if (this.wanted && !this.#process) {
      if (!this.events.mayLoad()) return;
      this.#open();
    }
    if (this.#state !== 'ready') return;
    for (let first = this.#waiting.at(0); first?.work === null; first = this.#waiting.at(0)) {
      this.#waiting.shift();
      this.#settle(first, { value: null });
    }
    const { running, jobs } = this.busy();
    if (running === 0) this.#begin(this.#waiting.shift());
    if (jobs === 0) this.#begin(this.#waitingJobs.shift());
    this.events.onChange();
  }

  #begin(task: Task | undefined): void {
    if (!task?.work) return;
    this.#running.set(task.id, task);
    this.#lastProgress = this.now();
    task.events.onQueued?.(0);
    this.#waiting.forEach((waiting, position) => waiting.events.onQueued?.(position + 1));
    this.#process?.post({ type: 'work', id: task.id, work: task.work });
  }

  #open(): void {
    const generation = ++this.#generation;
    this.#state = 'loading';
    this.#problem = null;
    this.#lastBeat = this.#lastProgress = this.now();
    this.#process = this.start({
      onMessage: (message) => {
        if (generation === this.#generation) this.#hear(message);
      },
      onEnd: (problem) => {
        if (generation === this.#generation) void this.#replace(problem);
      },
    });
    this.#process.post({ type: 'open', model: this.model });
    this.events.onChange();
  }

  #hear(message: FromEngine): void {
    this.#lastBeat = this.now();
    if (message.type === 'beat') {
      this.#memory = message.memory;
      return;
    }
    if (message.type === 'closed') return this.#closed?.();
    this.#lastProgress = this.now();
    if (message.type === 'loading') {
      for (const { events } of [...this.#waiting, ...this.#waitingJobs]) events.onLoading?.(message.progress);
      return;
    }
    if (message.type === 'ready') {
      this.#info = message.info;
      this.#state = 'ready';
      return this.advance();
    }
    if (message.type === 'unopened') return void this.#unopened(TillerError.fromJSON(message.error));
    const task = this.#running.get(message.id);
    if (!task) return;
    if (message.type === 'step') {
      task.events.onStep?.(message.step);
      if (!task.signal.aborted) this.#process?.post({ type: 'heard', id: task.id });
    } else if (message.type === 'progress') task.events.onProgress?.(message.done, message.total);
    else if (message.type === 'report') task.events.onReport?.(message.report);
    else if (message.type === 'unit') void this.#unit(task, message, this.#generation);
    else {
      this.#running.delete(message.id);
      this.#settle(task, message.type === 'done' ? { value: message.value } : TillerError.fromJSON(message.error));
      this.advance();
    }
  }

  /** A job's call for a finished unit, answered to the process that asked. */
  async #unit(task: Task, { call, key, set }: Extract<FromEngine, { type: 'unit' }>, generation: number): Promise<void> {
    const { units } = task.events;
    let value: unknown;
    let error: TillerError | null = null;
    try {
      if (set) await units?.set(key, set.value);
      else value = await units?.get(key);
    } catch (thrown) {
      error = asTillerError(thrown);
    }
    this.#lastProgress = this.now();
    if (generation === this.#generation) this.#process?.post({ type: 'unit', call, value, error: error && error.toJSON() });
  }

  /** Everybody who waits learns why; the next request tries again. */
  async #unopened(error: TillerError): Promise<void> {
    const waiting = [...this.#waiting.splice(0), ...this.#waitingJobs.splice(0)];
    this.#problem = error.message;
    await this.#drop('failed');
    for (const task of waiting) this.#settle(task, error);
    this.advance();
  }

  /** Ends the process and forgets it. */
  async #drop(state: SlotState): Promise<void> {
    const held = this.#process;
    this.#generation++;
    this.#process = null;
    this.#memory = 0;
    this.#state = state;
    this.#info = null;
    this.events.onChange();
    await held?.kill();
  }

  async #replace(problem: string): Promise<void> {
    const lost = [...this.#running.values()];
    const loading = this.#state === 'loading';
    this.#running.clear();
    this.#restarts++;
    this.#problem = problem;
    this.events.onRestart(problem);
    const error = new TillerError('runner/engine-restarted', { model: this.model.name, problem });
    // A process that falls while it loads would fall again for everybody who waits.
    if (loading) lost.push(...this.#waiting.splice(0), ...this.#waitingJobs.splice(0));
    const dropped = this.#drop(loading ? 'failed' : 'cold');
    for (const task of lost) this.#settle(task, error);
    await dropped;
    this.advance();
  }

  /** Called once in a while: replaces a process that gives no sign of life, or whose work does not move. */
  watch(): void {
    if (!this.#process || this.#closing) return;
    const now = this.now();
    const silent = now - this.#lastBeat;
    const still = now - this.#lastProgress;
    if (silent > this.limits.silent) void this.#replace(`it gave no sign of life for ${Math.round(silent / 1000)} s`);
    else if ((this.#running.size > 0 || this.#state === 'loading') && still > this.limits.stuck)
      void this.#replace(`its work did not move for ${Math.round(still / 1000)} s`);
  }

  /** Takes the model from memory; the next request loads it again. Politely first: an engine that is closed gives back what no garbage collector sees. */
  async unload(patience: number): Promise<void> {
    if (!this.#process) return;
    const held = this.#process;
    this.#closing ??= (async () => {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, patience);
        this.#closed = () => {
          clearTimeout(timer);
          resolve();
        };
        held.post({ type: 'close' });
      });
      this.#closed = null;
      await this.#drop('cold');
    })();
    await this.#closing;
    this.#closing = null;
    this.advance();
  }

  /** Ends everything: what runs and waits fails with the error. */
  async close(error: TillerError, patience: number): Promise<void> {
    for (const task of [...this.#waiting.splice(0), ...this.#waitingJobs.splice(0)]) this.#settle(task, error);
    await this.unload(patience);
    for (const task of this.#running.values()) this.#settle(task, error);
    this.#running.clear();
  }
}

const isJob = (task: Task): boolean => task.work?.kind === 'job';
