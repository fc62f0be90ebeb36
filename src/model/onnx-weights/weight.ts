import { TillerError } from '../../errors/error.ts';
import type { TensorDtype } from '../weights.ts';
import { elementsOf, type ElementType, type OnnxTensor } from './onnx-tensor.ts';
import { knownType, type TensorData } from './tensor-data.ts';

/** A constant of the graph as a matrix [rows, cols] of numbers, however it is stored. A vector is one row. */
export interface Weight {
  readonly rows: number;
  readonly cols: number;
  /** How it is stored, in a few words: `F16`, `int4 symmetric in 32`. */
  readonly kind: string;
  /** What it is offered as: wide enough that nothing more than a rounding to half precision is lost. */
  readonly dtype: TensorDtype;
  /** Rows [first, first + count), [count, cols]. */
  read(first: number, count: number, signal?: AbortSignal): Promise<Float32Array>;
  /** The same numbers with rows and columns exchanged, where that is how they are stored. */
  readonly transposed?: Weight;
}

export function refuseTensor({ place, name }: OnnxTensor, problem: string): never {
  throw new TillerError('model/file', { file: place.file, problem: `the tensor "${name.slice(0, 200)}" ${problem}` });
}

const floats: Readonly<Partial<Record<ElementType, TensorDtype>>> = { f32: 'F32', f16: 'F16', bf16: 'BF16' };

/** Floating-point numbers as they are; null for other types. Leading and trailing dimensions of 1 count for nothing. */
export function plainWeight(data: TensorData, tensor: OnnxTensor): Weight | null {
  const dtype = tensor.type && floats[tensor.type];
  if (!dtype) return null;
  const dims = tensor.dims.filter((length) => length !== 1);
  if (dims.length > 2) return refuseTensor(tensor, `has ${dims.length} dimensions, expected a matrix`);
  const cols = tensor.dims.length === 2 ? tensor.dims[1] : (dims.at(-1) ?? 1);
  const rows = tensor.dims.length === 2 ? tensor.dims[0] : dims.length === 2 ? dims[0] : 1;
  return {
    rows,
    cols,
    kind: dtype,
    dtype,
    read: (first, count, signal) => data.numbers(tensor, first * cols, count * cols, signal),
  };
}

/** Scales or zero points of a matrix: one number for each block of `rowBlock` rows and `colBlock` columns. */
export interface Blocks {
  readonly rowBlock: number;
  readonly colBlock: number;
  readonly cols: number;
  /** Numbers of block rows [first, first + count), [count, cols]. */
  read(first: number, count: number, signal?: AbortSignal): Promise<Float32Array>;
}

/** Blocks stored end to end in a tensor of [blockRows, blockCols], whatever its dimensions say. */
export function blocksOf(data: TensorData, tensor: OnnxTensor, grid: readonly [number, number], block: readonly [number, number]): Blocks {
  const [rows, cols] = grid;
  if (elementsOf(tensor.dims) !== rows * cols)
    refuseTensor(tensor, `has the shape [${tensor.dims.join(', ')}], expected ${rows} by ${cols} numbers`);
  knownType(tensor);
  return {
    rowBlock: block[0],
    colBlock: block[1],
    cols,
    read: (first, count, signal) => data.numbers(tensor, first * cols, count * cols, signal),
  };
}

/** Zero points packed into bytes, each row padded to whole bytes, the lowest bits first. */
export function packedBlocks(
  data: TensorData,
  tensor: OnnxTensor,
  bits: number,
  grid: readonly [number, number],
  block: readonly [number, number],
): Blocks {
  const [rows, cols] = grid;
  const pitch = Math.ceil((cols * bits) / 8);
  if (elementsOf(tensor.dims) !== rows * pitch)
    refuseTensor(tensor, `has the shape [${tensor.dims.join(', ')}], expected ${rows} by ${pitch} bytes`);
  return {
    rowBlock: block[0],
    colBlock: block[1],
    cols,
    async read(first, count, signal) {
      const bytes = await data.read(tensor, first * pitch, (first + count) * pitch, signal);
      const out = new Float32Array(count * cols);
      for (let row = 0; row < count; row++) unpack(bytes, (row * pitch * 8) / bits, bits, out, row * cols, cols);
      return out;
    },
  };
}

/** Unsigned numbers of `bits` bits, the lowest bits of a byte first. @param from in numbers */
function unpack(bytes: Uint8Array, from: number, bits: number, out: Float32Array, at: number, count: number): void {
  const shift = bits === 8 ? 0 : bits === 4 ? 1 : 2; // numbers a byte, as a power of two
  const low = (1 << shift) - 1;
  const mask = (1 << bits) - 1;
  for (let i = 0; i < count; i++) out[at + i] = (bytes[(from + i) >>> shift] >> (((from + i) & low) * bits)) & mask;
}

export interface AffineParts {
  readonly rows: number;
  readonly cols: number;
  readonly tensor: OnnxTensor;
  readonly bits: 2 | 4 | 8;
  readonly signed: boolean;
  /** Numbers of a row, padding included. */
  readonly pitch: number;
  readonly scale: Blocks;
  readonly zero: Blocks | number;
  readonly kind: string;
}

/** Integers with scales and zero points: w = (q - zero) scale, each rounded to f32 as ONNX Runtime does. */
export function affineWeight(data: TensorData, parts: AffineParts): Weight {
  const { rows, cols, tensor, bits, signed, pitch, scale, zero, kind } = parts;
  const half = 1 << (bits - 1);
  const grid = async (
    blocks: Blocks,
    first: number,
    count: number,
    signal?: AbortSignal,
  ): Promise<{ values: Float32Array; from: number }> => {
    const from = Math.floor(first / blocks.rowBlock);
    const to = Math.floor((first + count - 1) / blocks.rowBlock);
    return { values: await blocks.read(from, to - from + 1, signal), from };
  };
  return {
    rows,
    cols,
    kind,
    dtype: 'F16',
    async read(first, count, signal) {
      const out = new Float32Array(count * cols);
      if (count === 0) return out;
      const start = Math.floor((first * pitch * bits) / 8);
      const bytes = await data.read(tensor, start, Math.ceil(((first + count) * pitch * bits) / 8), signal);
      const scales = await grid(scale, first, count, signal);
      const zeros = typeof zero === 'number' ? null : await grid(zero, first, count, signal);
      for (let row = 0; row < count; row++) {
        const at = row * cols;
        unpack(bytes, (first + row) * pitch - (start * 8) / bits, bits, out, at, cols);
        const scaleRow = (Math.floor((first + row) / scale.rowBlock) - scales.from) * scale.cols;
        const zeroRow = typeof zero === 'number' || !zeros ? 0 : (Math.floor((first + row) / zero.rowBlock) - zeros.from) * zero.cols;
        for (let col = 0; col < cols;) {
          const factor = scales.values[scaleRow + Math.floor(col / scale.colBlock)];
          let end = Math.min(cols, (Math.floor(col / scale.colBlock) + 1) * scale.colBlock);
          let offset = 0;
          if (typeof zero === 'number') offset = zero;
          else if (zeros) {
            offset = zeros.values[zeroRow + Math.floor(col / zero.colBlock)];
            end = Math.min(end, (Math.floor(col / zero.colBlock) + 1) * zero.colBlock);
          }
          for (; col < end; col++) {
            const raw = out[at + col];
            const q = signed && raw >= half ? raw - 2 * half : raw;
            out[at + col] = Math.fround(q - offset) * factor;
          }
        }
      }
      return out;
    },
  };
}

/** Most that one transposed tensor keeps decoded, in bytes of f32. */
const BLOCK_BYTES = 64 * 2 ** 20;
/** Numbers of the stored form that are decoded at once. */
const SLAB = 2 ** 21;
/** Tensors that keep a block: q, k and v, or gate and up, are read in turn. */
const KEPT = 3;

interface Kept {
  readonly owner: Weight;
  readonly first: number;
  readonly count: number;
  readonly values: Float32Array;
}

/**
 * Transposes weights while they are read. Stored [in, out] and wanted by rows of [out, in], a row is spread over the whole tensor:
 * a block of rows is made in one pass and kept until other tensors have taken its place.
 */
export class Transposer {
  private kept: Kept[] = [];

  transpose(weight: Weight): Weight {
    if (weight.transposed) return weight.transposed;
    const { rows: cols, cols: rows, kind, dtype } = weight;
    const blockRows = Math.max(1, Math.min(rows, Math.floor(BLOCK_BYTES / 4 / Math.max(1, cols))));
    return {
      rows,
      cols,
      kind,
      dtype,
      transposed: weight,
      read: async (first, count, signal) => {
        const out = new Float32Array(count * cols);
        for (let row = first; row < first + count;) {
          const start = row - (row % blockRows);
          const block = await this.block(weight, start, Math.min(blockRows, rows - start), signal);
          const end = Math.min(first + count, start + block.count);
          out.set(block.values.subarray((row - start) * cols, (end - start) * cols), (row - first) * cols);
          row = end;
        }
        return out;
      },
    };
  }

  private async block(weight: Weight, first: number, count: number, signal?: AbortSignal): Promise<Kept> {
    const known = this.kept.find((one) => one.owner === weight && one.first === first);
    if (known) return known;
    const { rows: length, cols } = weight;
    const values = new Float32Array(count * length);
    const slab = Math.max(1, Math.floor(SLAB / Math.max(1, cols)));
    for (let at = 0; at < length; at += slab) {
      const rows = Math.min(slab, length - at);
      const piece = await weight.read(at, rows, signal);
      for (let row = 0; row < rows; row++) {
        for (let i = 0; i < count; i++) values[i * length + at + row] = piece[row * cols + first + i];
      }
    }
    const made = { owner: weight, first, count, values };
    this.kept = [made, ...this.kept.filter((one) => one.owner !== weight)].slice(0, KEPT);
    return made;
  }
}
