import type { Tensor } from 'onnxruntime-common';
import type { ModelSpec } from '../../model/spec.ts';
import type { LayerCache } from './cache.ts';
import { attentionPiece } from './pieces.ts';
import { Piece, type OnnxRuntime } from './runtime.ts';
import type { Scratch } from './scratch.ts';

/** Rows of one segment: q and z [rows, heads * headDim], k and v [rows, kvHeads * headDim]; q and k are rotated. */
export interface AttentionRows {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly z: Float32Array;
}

/** Attention of consecutive positions over a cache: the same two sessions for all layers. */
export class Attention {
  private constructor(
    private readonly spec: ModelSpec,
    private readonly runtime: OnnxRuntime,
    /** One row, which sees all keys that it is given. */
    private readonly plain: Piece,
    private readonly masked: Piece,
  ) {}

  static async create(runtime: OnnxRuntime, spec: ModelSpec, threads: number): Promise<Attention> {
    const plain = await Piece.create(runtime, attentionPiece(spec, false), threads);
    return new Attention(spec, runtime, plain, await Piece.create(runtime, attentionPiece(spec, true), threads));
  }

  /**
   * Puts k and v into the cache at position `from` and fills z. Keys that no row sees are not looked at.
   * @param window the token itself and the window-1 tokens before it are seen; null: all
   */
  async run(cache: LayerCache, from: number, window: number | null, scratch: Scratch, rows: AttentionRows): Promise<void> {
    const { heads, kvHeads, headDim } = this.spec;
    const kvWidth = kvHeads * headDim;
    const count = rows.k.length / kvWidth;
    cache.keys.set(rows.k, from * kvWidth);
    cache.values.set(rows.v, from * kvWidth);
    const first = window === null ? 0 : Math.max(0, from - window + 1);
    const end = from + count;
    const inputs = {
      q: this.tensor(rows.q, [1, count, heads * headDim]),
      k: this.tensor(cache.keys.subarray(first * kvWidth, end * kvWidth), [1, end - first, kvWidth]),
      v: this.tensor(cache.values.subarray(first * kvWidth, end * kvWidth), [1, end - first, kvWidth]),
    };
    const outputs = { z: this.tensor(rows.z, [1, count, heads * headDim]) };
    if (count === 1) await this.plain.run(inputs, outputs);
    else {
      const mask = this.tensor(maskOf(scratch, from, count, first, window), [count, end - first]);
      await this.masked.run({ ...inputs, mask }, outputs);
    }
  }

  async release(): Promise<void> {
    await this.plain.release();
    await this.masked.release();
  }

  private tensor(data: Float32Array, dims: readonly number[]): Tensor {
    return new this.runtime.Tensor('float32', data, dims);
  }
}

/** What is added to the scores of rows from, from + 1, ... and keys first, first + 1, ...: 0, or -Infinity where a key is not seen. */
function maskOf(scratch: Scratch, from: number, count: number, first: number, window: number | null): Float32Array {
  const keys = from + count - first;
  const mask = scratch.get('mask', count * keys);
  mask.fill(-Infinity);
  for (let row = 0; row < count; row++) {
    const position = from + row;
    const start = window === null ? 0 : Math.max(0, position - window + 1);
    mask.fill(0, row * keys + start - first, row * keys + position + 1 - first);
  }
  return mask;
}
