import type { ModelSpec } from '../../model/spec.ts';
import type { Memory } from './memory.ts';

/** Activations are padded to the group of the weights, so that products need no tail. */
export const padded = (width: number): number => Math.ceil(width / 32) * 32;

export interface Widths {
  readonly hidden: number;
  readonly query: number;
  readonly qkv: number;
  readonly intermediate: number;
  readonly vocab: number;
}

export function paddedWidths(spec: ModelSpec): Widths {
  return {
    hidden: padded(spec.hidden),
    query: padded(spec.heads * spec.headDim),
    qkv: padded((spec.heads + 2 * spec.kvHeads) * spec.headDim),
    intermediate: padded(spec.intermediate),
    vocab: padded(spec.vocab),
  };
}

/** Activations of one forward call, f32 [rows, padded width]. */
export interface Activations {
  readonly rows: number;
  /** The residual stream. */
  readonly h: GPUBuffer;
  /** Output of the last norm. */
  readonly x: GPUBuffer;
  readonly qkv: GPUBuffer;
  readonly z: GPUBuffer;
  /** Output of a block: attn_out, then mlp_out. */
  readonly block: GPUBuffer;
  /** [rows, 2 * intermediate], gate and up in turn. */
  readonly gateUp: GPUBuffer;
  readonly act: GPUBuffer;
  readonly hidden: GPUBuffer;
  /** Row table: token, slot, position, flags. */
  readonly table: GPUBuffer;
  readonly spans: GPUBuffer;
}

/** Bytes of activations a row, logits apart. */
export function activationBytes(spec: ModelSpec): number {
  const w = paddedWidths(spec);
  return 4 * (3 * w.hidden + w.qkv + w.query + 2 * spec.intermediate + 2 * w.intermediate) + 24;
}

/**
 * Working memory, grown to the largest call so far. Matrix-vector kernels read whole blocks of rows of their input, up to MATVEC_ROWS,
 * whatever the call has, so there are never fewer.
 */
export class Scratch {
  private current: Activations | null = null;
  private logitRows = 0;
  private logitBuffer: GPUBuffer | null = null;

  constructor(
    private readonly memory: Memory,
    private readonly spec: ModelSpec,
    /** Called when buffers were replaced, so that bind groups are made anew. */
    private readonly replaced: () => void,
  ) {}

  ensure(rows: number): Activations {
    if (this.current && this.current.rows >= rows) return this.current;
    const count = Math.max(8, rows);
    const { memory } = this;
    const w = paddedWidths(this.spec);
    if (this.current) {
      for (const buffer of Object.values(this.current)) if (typeof buffer !== 'number') memory.free(buffer as GPUBuffer);
      this.replaced();
    }
    const array = (label: string, width: number): GPUBuffer => memory.storage(label, count * width * 4);
    this.current = {
      rows: count,
      h: array('residual', w.hidden),
      x: array('normed', w.hidden),
      qkv: array('qkv', w.qkv),
      z: array('z', w.query),
      block: array('block output', w.hidden),
      gateUp: array('gate and up', 2 * this.spec.intermediate),
      act: array('mlp_act', w.intermediate),
      hidden: array('mlp_hidden', w.intermediate),
      table: memory.storage('row table', count * 16),
      spans: memory.storage('spans', count * 8),
    };
    return this.current;
  }

  /** f32 [rows, padded vocabulary]. */
  logits(rows: number): GPUBuffer {
    if (this.logitBuffer && this.logitRows >= rows) return this.logitBuffer;
    if (this.logitBuffer) {
      this.memory.free(this.logitBuffer);
      this.replaced();
    }
    this.logitRows = Math.max(8, rows);
    this.logitBuffer = this.memory.storage('logits', this.logitRows * paddedWidths(this.spec).vocab * 4);
    return this.logitBuffer;
  }

  get bytes(): number {
    return (this.current?.rows ?? 0) * activationBytes(this.spec) + this.logitRows * paddedWidths(this.spec).vocab * 4;
  }
}
