import type { Tensor } from 'onnxruntime-common';
import type { LayerCache } from './cache.ts';
import type { OnnxModel } from './model.ts';
import { paddedHeadDim } from './pieces.ts';
import type { Piece } from './runtime.ts';
import type { Scratch } from './scratch.ts';

/** Rows of one segment: q and z [rows, heads * headDim], k and v [rows, kvHeads * headDim]; q and k are rotated. */
export interface AttentionRows {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly z: Float32Array;
}

/** Attention of one segment: appends k and v to the cache at position `from` and fills z. */
export async function attend(
  model: OnnxModel,
  piece: Piece,
  scratch: Scratch,
  cache: LayerCache,
  from: number,
  { q, k, v, z }: AttentionRows,
): Promise<void> {
  const { spec, runtime } = model;
  const count = q.length / (spec.heads * spec.headDim);
  const headDim = paddedHeadDim(spec.headDim);
  const padded = headDim !== spec.headDim;
  const pad = (name: string, x: Float32Array): Float32Array => (padded ? widen(scratch, name, x, spec.headDim, headDim) : x);
  const rows = (data: Float32Array, heads: number): Tensor => new runtime.Tensor('float32', data, [1, count, heads * headDim]);
  const out = padded ? scratch.get('padded z', count * spec.heads * headDim) : z;
  await piece.run(
    {
      q: rows(pad('padded q', q), spec.heads),
      k: rows(pad('padded k', k), spec.kvHeads),
      v: rows(pad('padded v', v), spec.kvHeads),
      keys: cache.keys,
      values: cache.values,
      last: new runtime.Tensor('int32', Int32Array.of(from + count - 1), [1]),
      total: new runtime.Tensor('int32', Int32Array.of(from + count), []),
    },
    { z: rows(out, spec.heads), keys_out: cache.keys, values_out: cache.values },
  );
  if (!padded) return;
  for (let head = 0; head < count * spec.heads; head++) {
    z.set(out.subarray(head * headDim, head * headDim + spec.headDim), head * spec.headDim);
  }
}

/** Heads of `from` floats in heads of `to`, zeros after them: a zero adds nothing to a score, and what it sums to is cut off. */
function widen(scratch: Scratch, name: string, x: Float32Array, from: number, to: number): Float32Array {
  const heads = x.length / from;
  const out = scratch.get(name, heads * to);
  out.fill(0);
  for (let head = 0; head < heads; head++) out.set(x.subarray(head * from, (head + 1) * from), head * to);
  return out;
}
