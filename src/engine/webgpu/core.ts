import { TillerError } from '../../errors/error.ts';
import type { Plan } from '../../graph/plan.ts';
import type { ModelSpec } from '../../model/spec.ts';
import type { ModelInfo } from '../engine.ts';
import type { DeviceHealth } from './device.ts';
import type { EditBuffers } from './graph-run.ts';
import { GraphRun, type RowRef } from './graph-run.ts';
import { ATTENTION_SPAN, forwardDispatches, headDispatches, type ForwardModel, type Taps } from './forward.ts';
import { MATVEC_ROWS } from './matmul.ts';
import type { Memory } from './memory.ts';
import type { Recorded, Recorder } from './recorder.ts';
import { rowTable, type CallRow } from './row-table.ts';
import type { Activations, Scratch } from './scratch.ts';

export interface CallOptions {
  readonly taps: Taps | null;
  readonly logits: boolean;
  /** With `logits` false, see ForwardCall.until. */
  readonly until: number;
}

export interface PreparedCall {
  readonly list: readonly Recorded[];
  readonly logits: GPUBuffer | null;
  readonly activations: Activations;
}

/** What the requests of one loaded model share: weights, cache, scratch, kernels. One request at a time uses it. */
export class Core {
  private queue: Promise<void> = Promise.resolve();

  constructor(
    readonly device: GPUDevice,
    readonly health: DeviceHealth,
    readonly memory: Memory,
    readonly recorder: Recorder,
    readonly scratch: Scratch,
    readonly edits: EditBuffers,
    readonly model: ForwardModel,
    readonly info: ModelInfo,
    /** Most rows of a prefill call, so that one dispatch stays short on a slow device. */
    readonly chunkRows: number,
    readonly now: () => number,
  ) {}

  get spec(): ModelSpec {
    return this.model.spec;
  }

  /** Waits until no other request runs; the returned function lets the next one in. */
  async acquire(): Promise<() => void> {
    let release = (): void => undefined;
    const before = this.queue;
    this.queue = new Promise((resolve) => (release = resolve));
    await before;
    try {
      this.health.check();
    } catch (error) {
      release();
      throw error;
    }
    this.edits.trim();
    return release;
  }

  /**
   * Writes the row table and the spans, and records the forward pass. Rows of one slot must be consecutive positions and
   * lie next to each other. Growing scratch happens here, so graph runs must be made after `reserve`.
   */
  async prepare(rows: readonly CallRow[], options: CallOptions): Promise<PreparedCall> {
    const activations = this.scratch.ensure(rows.length);
    const logits = options.logits ? this.scratch.logits(rows.length) : null;
    const { spans, spanRows } = spansOf(rows, this.model.software ? 1 : ATTENTION_SPAN);
    const { queue } = this.device;
    queue.writeBuffer(activations.table, 0, rowTable(rows));
    queue.writeBuffer(activations.spans, 0, spans);
    queue.writeBuffer(this.model.call, 0, new Uint32Array([rows.length, spans.length / 2, 0, 0]));
    const list = await this.recorder.compile(
      forwardDispatches(this.model, {
        rows: rows.length,
        spans: spans.length / 2,
        spanRows,
        activations,
        taps: options.taps,
        logits,
        until: options.until,
      }),
    );
    return { list, logits, activations };
  }

  /**
   * Records the head over rows that lie normed in `Activations.x` already, and says what they are to whoever taps logits.
   * Rows need no order.
   */
  async prepareHead(rows: readonly CallRow[], taps: Taps | null): Promise<{ list: readonly Recorded[]; logits: GPUBuffer }> {
    const activations = this.scratch.ensure(rows.length);
    const logits = this.scratch.logits(rows.length);
    const { queue } = this.device;
    if (taps) queue.writeBuffer(activations.table, 0, rowTable(rows));
    queue.writeBuffer(this.model.call, 0, new Uint32Array([rows.length, 0, 0, 0]));
    return { list: await this.recorder.compile(headDispatches(this.model, rows.length, activations.x, logits, taps)), logits };
  }

  /** A plan made ready for calls of at most these sizes; null when the graph does nothing. */
  graphRun(
    plan: Plan,
    sizes: {
      readonly lanes: readonly number[];
      readonly slots: number;
      readonly maxRows: number;
      readonly ringRows: number;
      readonly maxPositions: number;
    },
  ): GraphRun | null {
    if (plan.edits.length === 0 && plan.reads.length === 0) return null;
    const activations = this.scratch.ensure(sizes.maxRows);
    return new GraphRun({ device: this.device, call: this.model.call, table: activations.table, buffers: this.edits, plan, ...sizes });
  }

  /**
   * Lets the device finish before more work is queued: keeps a long prefill from piling up in the queue, so that Stop and
   * other users of the GPU are served in between.
   */
  async settle(signal: AbortSignal | undefined): Promise<void> {
    await this.health.wait(this.device.queue.onSubmittedWorkDone());
    if (signal?.aborted) throw new TillerError('request/aborted');
  }
}

/**
 * Runs of consecutive positions of one slot, cut into spans for attention. Software adapters take one row at a time: the kernel for
 * more compiles for seconds there and gains little.
 */
function spansOf(rows: readonly CallRow[], most: 1 | 4): { spans: Uint32Array<ArrayBuffer>; spanRows: 1 | 4 } {
  const joins = rows.map((row, index) => {
    const before = rows[index - 1];
    return before?.slot === row.slot && before.position + 1 === row.position;
  });
  const spanRows = joins.some(Boolean) ? most : 1;
  const spans: number[] = [];
  let first = 0;
  for (let at = 1; at <= rows.length; at += 1) {
    if (at === rows.length || !joins[at] || at - first === spanRows) {
      spans.push(first, at - first);
      first = at;
    }
  }
  return { spans: new Uint32Array(spans), spanRows };
}

/** Rows that a call should have so that it uses the kernels well: a whole number of matrix-vector batches when few. */
export const roundRows = (rows: number): number => (rows <= MATVEC_ROWS ? Math.max(1, rows) : Math.floor(rows / 8) * 8);

export type { RowRef };
