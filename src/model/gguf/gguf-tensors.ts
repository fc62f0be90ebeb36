import { TillerError } from '../../errors/error.ts';
import { ggufTypes } from '../../formats/gguf.ts';
import { decodeF32 } from '../../formats/safetensors.ts';
import type { FileAccess } from '../files.ts';
import { matrixShape, type RowTensor } from '../row-tensors.ts';
import type { TensorDtype } from '../weights.ts';
import { dequantizers } from './block-types.ts';
import type { StoredTensor } from './gguf-files.ts';

/** What was done to a tensor when the file was made, to be undone. */
export interface Undo {
  /** Rows of a head lie as interleaved rotary pairs; this many rows a head. null: as they are. */
  readonly interleavedHead: number | null;
  readonly plusOne: boolean;
}

const plain: Readonly<Record<string, TensorDtype>> = { F32: 'F32', F16: 'F16', BF16: 'BF16' };

/** Row of a head as stored, for a row as we want it: row i and row i + half are a pair, which lies at 2 i and 2 i + 1. */
const storedRow = (row: number, head: number): number => {
  const within = row % head;
  const half = head / 2;
  return row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
};

/**
 * A tensor of a GGUF file, decoded on the way. Quantised types are offered in half precision, except Q8_0: its weights need f32 to
 * be exact, and exact ones give the file's own integers when they are kept as q8.
 * @param name in the checkpoint's terms
 * @throws model/file where the type is not read
 */
export function ggufTensor(files: FileAccess, name: string, stored: StoredTensor, undo: Undo): RowTensor {
  const { file, type } = stored;
  const shape = [...stored.shape].reverse();
  // Trailing dimensions of 1 are padding of the format.
  while (shape.length > 1 && shape[0] === 1) shape.shift();
  const { cols } = matrixShape(shape);
  const quantized = dequantizers[type];
  const dtype = plain[type];
  if (!quantized && !dtype) {
    const known = [...Object.keys(plain), ...Object.keys(dequantizers)].join(', ');
    throw new TillerError('model/file', { file, problem: `the tensor "${name}" is stored as ${type}; read are ${known}` });
  }
  const { block, bytes } = ggufTypes[type];
  const rowBytes = (cols / block) * bytes;

  const decode = async (first: number, count: number, signal?: AbortSignal): Promise<Float32Array> => {
    const raw = await files.read(file, stored.start + first * rowBytes, stored.start + (first + count) * rowBytes, signal);
    if (!quantized) return decodeF32(raw, type, file);
    const out = new Float32Array(count * cols);
    quantized.decode(raw, out);
    return out;
  };

  const { interleavedHead: head, plusOne } = undo;
  const rows = async (first: number, count: number, signal?: AbortSignal): Promise<Float32Array> => {
    const values = await (head === null ? decode(first, count, signal) : decodeHeads(decode, head, shape, first, count, signal));
    if (plusOne) for (let i = 0; i < values.length; i++) values[i] -= 1;
    return values;
  };
  const changed = head !== null || plusOne;
  return {
    info: { name, shape, dtype: quantized ? (quantized.exact === 'q8' ? 'F32' : 'F16') : changed ? 'F32' : dtype },
    rows,
    bytes: changed || quantized ? undefined : (start, end, signal) => files.read(file, stored.start + start, stored.start + end, signal),
  };
}

/** Rows in our order out of whole heads in the file's. A vector has one value a row. */
async function decodeHeads(
  decode: (first: number, count: number, signal?: AbortSignal) => Promise<Float32Array>,
  head: number,
  shape: readonly number[],
  first: number,
  count: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  if (shape.length === 1) {
    const values = await decode(0, 1, signal);
    return values.map((_, row) => values[storedRow(row, head)]);
  }
  const cols = shape[1];
  const from = first - (first % head);
  const to = Math.min(shape[0], Math.ceil((first + count) / head) * head);
  const values = await decode(from, to - from, signal);
  const out = new Float32Array(count * cols);
  for (let i = 0; i < count; i++) {
    const at = (storedRow(first + i, head) - from) * cols;
    out.set(values.subarray(at, at + cols), i * cols);
  }
  return out;
}
