import { TillerError } from '../errors/error.ts';
import { f32ToF16 } from '../formats/float16.ts';
import type { TensorDtype, TensorInfo, WeightSource } from './weights.ts';

/** A tensor whose stored form is not the form it is offered in: rows are decoded when they are asked for, and not kept. */
export interface RowTensor {
  readonly info: TensorInfo;
  /** Rows [first, first + count) of a matrix, [count, cols] in f32. A vector is one row. */
  rows(first: number, count: number, signal?: AbortSignal): Promise<Float32Array>;
  /** Bytes [start, end) where the stored form is the offered one; `rows` is then not used. */
  readonly bytes?: (start: number, end: number, signal?: AbortSignal) => Promise<Uint8Array>;
}

export const elementBytes: Readonly<Record<TensorDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Rows and columns of a tensor as it is read: a vector is one row. */
export function matrixShape(shape: readonly number[]): { readonly rows: number; readonly cols: number } {
  return shape.length === 2
    ? { rows: shape[0], cols: shape[1] }
    : { rows: 1, cols: shape.reduce((product, length) => product * length, 1) };
}

/**
 * A source of weights over decoded tensors. A read decodes the rows it touches and no more, so memory holds what was asked for.
 * @param identity of the weights, for receipts
 * @param file for messages
 */
export function rowSource(tensors: ReadonlyMap<string, RowTensor>, identity: string, file: string): WeightSource {
  return {
    tensors: new Map([...tensors].map(([name, { info }]) => [name, info])),
    identity,
    async read(name, start, end, signal) {
      const tensor = tensors.get(name);
      if (!tensor) throw new TillerError('internal', { problem: `the tensor "${name}" was read but is not in the files` });
      const { rows, cols } = matrixShape(tensor.info.shape);
      const rowBytes = cols * elementBytes[tensor.info.dtype];
      if (!(start >= 0 && start <= end && end <= rows * rowBytes)) {
        throw new TillerError('internal', { problem: `bytes ${start} to ${end} of "${name}" were read, it has ${rows * rowBytes}` });
      }
      if (start === end) return new Uint8Array(0);
      if (tensor.bytes) return tensor.bytes(start, end, signal);
      const first = Math.floor(start / rowBytes);
      const count = Math.ceil(end / rowBytes) - first;
      const values = await tensor.rows(first, count, signal);
      const stored = tensor.info.dtype === 'F32' ? values : halves(values, name, file);
      return new Uint8Array(stored.buffer, stored.byteOffset + start - first * rowBytes, end - start);
    },
  };
}

/** Half precision, refusing what it cannot hold: an infinite weight would surface as nonsense much later. */
function halves(values: Float32Array, name: string, file: string): Uint16Array {
  const out = f32ToF16(values);
  for (let i = 0; i < out.length; i++) {
    if ((out[i] & 0x7c00) === 0x7c00) throw notFinite(name, file);
  }
  return out;
}

const notFinite = (name: string, file: string): TillerError =>
  new TillerError('model/file', { file, problem: `the tensor "${name}" has a value that is no number of half precision` });
