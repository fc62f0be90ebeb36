import { TillerError } from '../../errors/error.ts';
import type { Plan } from '../../graph/plan.ts';
import type { PointName } from '../../graph/points.ts';
import { CPU_ROWS } from '../../model/cpu-memory.ts';
import type { ModelInfo } from '../engine.ts';
import { Pause } from '../pause.ts';
import { KvCache } from './cache.ts';
import { forward, type ForwardCall, type PointTap } from './forward.ts';
import type { EditedRow, Interventions } from './interventions.ts';
import type { OnnxModel } from './model.ts';
import { Scratch } from './scratch.ts';

export const MAX_ROWS = CPU_ROWS;
/** Bytes of keys and values that sequences running side by side may take. */
const CACHE_BYTES = 768 * 2 ** 20;
const MAX_SLOTS = 64;

/** What the requests of one loaded model share: pieces, cache, arrays. One request at a time uses it. */
export class Core {
  readonly cache: KvCache;
  readonly scratch = new Scratch();
  private readonly pause: Pause;
  private queue: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(
    readonly model: OnnxModel,
    readonly info: ModelInfo,
    readonly now: () => number,
  ) {
    this.cache = new KvCache(model.spec);
    this.pause = new Pause(now, undefined);
  }

  /** Waits until no other request runs; the returned function lets the next one in. Throws request/engine once closed. */
  async acquire(): Promise<() => void> {
    let release = (): void => undefined;
    const before = this.queue;
    this.queue = new Promise((resolve) => (release = resolve));
    await before;
    if (!this.closed) return release;
    release();
    throw new TillerError('request/engine', { engine: 'onnx', reason: 'it has been closed' });
  }

  forward(call: ForwardCall): Promise<void> {
    return forward(this.model, this.cache, this.scratch, this.pause, call);
  }

  /** Slots of this capacity that fit the memory set aside for them. */
  slotsFor(capacity: number): number {
    return Math.min(MAX_SLOTS, Math.floor(CACHE_BYTES / (capacity * this.info.memory.cachePerToken)));
  }

  /** Waits for the request that runs. May be called again. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.queue;
    this.cache.release();
    this.scratch.release();
    await this.model.release();
  }
}

/** The edits and readings of a plan at the rows of one call. */
export class EditTap implements PointTap {
  constructor(
    private readonly interventions: Interventions,
    private readonly rows: readonly (EditedRow | null)[],
  ) {}

  touches(point: PointName, layer: number): boolean {
    return this.interventions.touches(point, layer);
  }

  at(point: PointName, layer: number, values: Float32Array, width: number, rows: readonly number[] | null): void {
    this.interventions.apply(point, layer, values, width, rows ? rows.map((row) => this.rows[row]) : this.rows);
  }
}

/** Whether a plan has anything to do in one of these lanes. */
export function active(plan: Plan, lanes: readonly number[]): boolean {
  return plan.edits.some((edit) => lanes.some((lane) => plan.strengthOf(lane, edit.index) !== null));
}
