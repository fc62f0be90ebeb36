import { decodeF32 } from '../formats/safetensors.ts';
import { quantizeRows, type QuantizedRows } from './quantize.ts';
import { elementBytes } from './row-tensors.ts';
import type { TensorInfo, WeightSource } from './weights.ts';

/** Rows [first, first + count) of a matrix in int8 or int4: from the source's packed form where it has one, else read and packed. */
export async function readPackedRows(
  source: WeightSource,
  info: TensorInfo,
  kind: 'q8' | 'q4',
  first: number,
  count: number,
  signal?: AbortSignal,
): Promise<QuantizedRows> {
  const packed = await source.packed?.(info.name, kind, first, count, signal);
  return packed ?? packRows(source, info, kind, first, count, signal);
}

/** Reads rows as they are stored and packs them. */
export async function packRows(
  source: Pick<WeightSource, 'read'>,
  { name, dtype, shape }: TensorInfo,
  kind: 'q8' | 'q4',
  first: number,
  count: number,
  signal?: AbortSignal,
): Promise<QuantizedRows> {
  const cols = shape[1];
  const rowBytes = cols * elementBytes[dtype];
  const bytes = await source.read(name, first * rowBytes, (first + count) * rowBytes, signal);
  return quantizeRows(decodeF32(bytes, dtype, name), count, cols, kind);
}
