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

/**
 * Attention of one segment: appends k and v to the cache at position `from` and fills z. A runtime that does not share memory is given
 * what is in the cache so far, and the new rows are appended here: it would copy the whole cache in and out.
 */
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
  const [keyRows, valueRows] = [pad('padded k', k), pad('padded v', v)];
  const inputs = {
    q: rows(pad('padded q', q), spec.heads),
    k: rows(keyRows, spec.kvHeads),
    v: rows(valueRows, spec.kvHeads),
    last: new runtime.Tensor('int32', Int32Array.of(from + count - 1), [1]),
    total: new runtime.Tensor('int32', Int32Array.of(from + count), []),
  };
  const { keys, values } = cache;
  if (runtime.sharesMemory) {
    await piece.run({ ...inputs, keys, values }, { z: rows(out, spec.heads), keys_out: keys, values_out: values });
  } else {
    const past = (name: string, tensor: Tensor): Tensor =>
      new runtime.Tensor('float32', leading(scratch, name, tensor, from), [1, spec.kvHeads, from, headDim]);
    await piece.run({ ...inputs, keys: past('past keys', keys), values: past('past values', values) }, { z: rows(out, spec.heads) });
    append(keys, keyRows, from);
    append(values, valueRows, from);
  }
  if (!padded) return;
  for (let head = 0; head < count * spec.heads; head++) {
    z.set(out.subarray(head * headDim, head * headDim + spec.headDim), head * spec.headDim);
  }
}

/** Positions [0, count) of a cache [1, heads, capacity, headDim], without the room after them: [heads, count, headDim]. */
function leading(scratch: Scratch, name: string, cache: Tensor, count: number): Float32Array {
  const [, heads, capacity, headDim] = cache.dims;
  const data = cache.data as Float32Array;
  const out = scratch.get(name, heads * count * headDim);
  for (let head = 0; head < heads; head++) {
    const start = head * capacity * headDim;
    out.set(data.subarray(start, start + count * headDim), head * count * headDim);
  }
  return out;
}

/** Writes rows [count, heads * headDim] to a cache, from position `from` on. */
function append(cache: Tensor, rows: Float32Array, from: number): void {
  const [, heads, capacity, headDim] = cache.dims;
  const data = cache.data as Float32Array;
  const count = rows.length / (heads * headDim);
  for (let row = 0; row < count; row++) {
    for (let head = 0; head < heads; head++) {
      const at = (row * heads + head) * headDim;
      data.set(rows.subarray(at, at + headDim), (head * capacity + from + row) * headDim);
    }
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
