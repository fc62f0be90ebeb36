import { bf16ToF32, f16ToF32, f32ToF16 } from '../../formats/float16.ts';
import { LARGE_TABLE_BYTES } from '../../model/memory.ts';
import { readPackedRows } from '../../model/packed-rows.ts';
import { GROUP, groupsOf } from '../../model/quantize.ts';
import type { Quantization, TensorDtype, TensorInfo, WeightSource } from '../../model/weights.ts';
import type { Memory } from './memory.ts';

/** How a matrix lies on the device; one shaders/weights_*.wgsl each. */
export type WeightFormat = 'f32' | 'f16' | 'bf16' | 'q8' | 'q4';

/** Bytes of eight consecutive inputs of one output row, scales apart. */
const octetBytes: Readonly<Record<WeightFormat, number>> = { f32: 32, f16: 16, bf16: 16, q8: 8, q4: 4 };
const storedFormat: Readonly<Record<TensorDtype, WeightFormat>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };
const elementBytes: Readonly<Record<TensorDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Rows [first, first + count) of a matrix: a tensor larger than a binding is split by rows. */
export interface MatrixPart {
  readonly weights: GPUBuffer;
  readonly scales: GPUBuffer | null;
  readonly first: number;
  readonly count: number;
}

/** A matrix [n, k] on the device; rows are padded with zeros to a multiple of 32 inputs. */
export interface Matrix {
  readonly format: WeightFormat;
  readonly n: number;
  readonly k: number;
  /** Eights of inputs a row, padding included. */
  readonly octets: number;
  readonly parts: readonly MatrixPart[];
  /** f32 [n]; zeros where the model has no bias. */
  readonly bias: GPUBuffer;
}

/** How a file's tensors are to be kept: `halves` turns everything wider than f16, and bf16, into f16. */
export interface Storage {
  readonly quantization: Quantization;
  readonly halves: boolean;
}

export function formatFor(infos: readonly TensorInfo[], { quantization, halves }: Storage, kind: 'projection' | 'table'): WeightFormat {
  const [first] = infos;
  const same = infos.every((info) => info.dtype === first.dtype);
  const stored = halves ? 'f16' : same ? storedFormat[first.dtype] : 'f32';
  if (quantization === 'none') return stored;
  if (kind === 'projection') return quantization;
  const bytes = infos.reduce((sum, info) => sum + info.shape[0] * info.shape[1] * elementBytes[info.dtype], 0);
  return bytes > LARGE_TABLE_BYTES ? 'q8' : stored;
}

/** Bytes that a matrix takes on the device. */
export function matrixBytes(format: WeightFormat, n: number, k: number): number {
  const groups = groupsOf(k);
  return n * groups * (4 * octetBytes[format] + (format === 'q4' || format === 'q8' ? 2 : 0));
}

function toF32(bytes: Uint8Array, dtype: TensorDtype): Float32Array {
  // A range of a file need not start at a multiple of the element size.
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const count = aligned.byteLength / elementBytes[dtype];
  if (dtype === 'F32') return new Float32Array(aligned.buffer, aligned.byteOffset, count);
  const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, count);
  return dtype === 'F16' ? f16ToF32(halves) : bf16ToF32(halves);
}

interface PackedRows {
  readonly data: Uint8Array;
  readonly scales: Uint16Array | null;
}

/** Rows as they lie in a file, turned into rows as they lie on the device. */
function storedRows(bytes: Uint8Array, dtype: TensorDtype, rows: number, cols: number, format: 'f32' | 'f16' | 'bf16'): PackedRows {
  const rowBytes = groupsOf(cols) * 4 * octetBytes[format];
  let source = bytes;
  if (storedFormat[dtype] !== format) {
    const wide = toF32(bytes, dtype);
    const values = format === 'f16' ? f32ToF16(wide) : wide;
    source = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
  const given = source.byteLength / rows;
  if (given === rowBytes) return { data: source, scales: null };
  const data = new Uint8Array(rows * rowBytes);
  for (let row = 0; row < rows; row += 1) data.set(source.subarray(row * given, (row + 1) * given), row * rowBytes);
  return { data, scales: null };
}

/** a0 b0 a1 b1 ...: rows of two matrices in turn. */
function interleave<T extends Uint8Array | Uint16Array>(a: T, b: T, rows: number, make: (length: number) => T): T {
  const width = a.length / rows;
  const out = make(2 * a.length);
  for (let row = 0; row < rows; row += 1) {
    out.set(a.subarray(row * width, (row + 1) * width), 2 * row * width);
    out.set(b.subarray(row * width, (row + 1) * width), (2 * row + 1) * width);
  }
  return out;
}

export interface MatrixUpload {
  readonly label: string;
  /** Stacked one after the other, or, with `interleave`, two of equal shape taken row by row in turn. */
  readonly tensors: readonly TensorInfo[];
  readonly interleave?: boolean;
  readonly format: WeightFormat;
  readonly bias: GPUBuffer;
  /** Most multiply-adds of a part over one row of the batch; a part never passes what one binding may hold. @default no limit */
  readonly maxPartCost?: number;
}

const CHUNK_BYTES = 8 * 1048576;

/** Streams tensors into device buffers a few MiB at a time; quantises on the way. JavaScript never holds more than a chunk. */
export class WeightUploader {
  private unsettled = 0;

  constructor(
    private readonly memory: Memory,
    private readonly source: WeightSource,
    private readonly onBytes: (bytes: number) => void,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async matrix(upload: MatrixUpload): Promise<Matrix> {
    const { tensors, format } = upload;
    const k = tensors[0].shape[1];
    const n = tensors.reduce((sum, info) => sum + info.shape[0], 0);
    const groups = groupsOf(k);
    const rowBytes = groups * 4 * octetBytes[format];
    const limit = Math.min(this.memory.bindingLimit / rowBytes, Math.max(1, (upload.maxPartCost ?? Number.POSITIVE_INFINITY) / k), n);
    const partRows = limit >= n ? n : Math.max(64, Math.floor(limit / 64) * 64);
    const parts: MatrixPart[] = [];
    for (let first = 0; first < n; first += partRows) {
      const count = Math.min(partRows, n - first);
      parts.push({
        weights: this.memory.storage(upload.label, count * rowBytes),
        scales: format === 'q4' || format === 'q8' ? this.memory.storage(`${upload.label} scales`, count * groups * 2) : null,
        first,
        count,
      });
    }
    const chunkRows = Math.max(2, Math.floor(CHUNK_BYTES / (k * 4) / 2) * 2);
    for (const part of parts) {
      for (let at = 0; at < part.count; at += chunkRows) {
        const count = Math.min(chunkRows, part.count - at);
        const packed = await this.rows(upload, part.first + at, count);
        await this.write(part.weights, at * rowBytes, packed.data);
        if (part.scales && packed.scales) {
          const { buffer, byteOffset, byteLength } = packed.scales;
          await this.write(part.scales, at * groups * 2, new Uint8Array(buffer, byteOffset, byteLength));
        }
      }
    }
    return { format, n, k, octets: groups * (GROUP / 8), parts, bias: upload.bias };
  }

  /** A vector, or several end to end, as f32. */
  async vector(label: string, tensors: readonly TensorInfo[], interleaved = false): Promise<GPUBuffer> {
    const pieces: Float32Array[] = [];
    for (const info of tensors) {
      const bytes = info.shape[0] * elementBytes[info.dtype];
      pieces.push(toF32(await this.source.read(info.name, 0, bytes, this.signal), info.dtype));
      this.onBytes(bytes);
    }
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const values = new Float32Array(length);
    let at = 0;
    for (const [index, piece] of pieces.entries()) {
      if (interleaved) piece.forEach((value, i) => (values[2 * i + index] = value));
      else values.set(piece, at);
      at += piece.length;
    }
    const buffer = this.memory.storage(label, values.byteLength);
    await this.write(buffer, 0, new Uint8Array(values.buffer));
    return buffer;
  }

  /** Rows [first, first + count) of the stacked or interleaved matrix. */
  private async rows(upload: MatrixUpload, first: number, count: number): Promise<PackedRows> {
    if (upload.interleave) {
      const half = count / 2;
      const [a, b] = [
        await this.tensorRows(upload.tensors[0], first / 2, half, upload.format),
        await this.tensorRows(upload.tensors[1], first / 2, half, upload.format),
      ];
      return {
        data: interleave(a.data, b.data, half, (length) => new Uint8Array(length)),
        scales: a.scales && b.scales ? interleave(a.scales, b.scales, half, (length) => new Uint16Array(length)) : null,
      };
    }
    const pieces: PackedRows[] = [];
    let start = 0;
    for (const info of upload.tensors) {
      const from = Math.max(first, start);
      const to = Math.min(first + count, start + info.shape[0]);
      if (from < to) pieces.push(await this.tensorRows(info, from - start, to - from, upload.format));
      start += info.shape[0];
    }
    if (pieces.length === 1) return pieces[0];
    const data = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.data.length, 0));
    const scales = pieces[0].scales ? new Uint16Array(pieces.reduce((sum, piece) => sum + (piece.scales?.length ?? 0), 0)) : null;
    let dataAt = 0;
    let scaleAt = 0;
    for (const piece of pieces) {
      data.set(piece.data, dataAt);
      dataAt += piece.data.length;
      if (scales && piece.scales) scales.set(piece.scales, scaleAt);
      scaleAt += piece.scales?.length ?? 0;
    }
    return { data, scales };
  }

  private async tensorRows(info: TensorInfo, first: number, count: number, format: WeightFormat): Promise<PackedRows> {
    const cols = info.shape[1];
    const rowBytes = cols * elementBytes[info.dtype];
    if (format === 'q4' || format === 'q8') {
      const packed = await readPackedRows(this.source, info, format, first, count, this.signal);
      this.onBytes(count * rowBytes);
      return packed;
    }
    const bytes = await this.source.read(info.name, first * rowBytes, (first + count) * rowBytes, this.signal);
    this.onBytes(bytes.byteLength);
    return storedRows(bytes, info.dtype, count, cols, format);
  }

  private async write(buffer: GPUBuffer, offset: number, bytes: Uint8Array): Promise<void> {
    const { queue } = this.memory.device;
    const whole = bytes.byteLength - (bytes.byteLength % 4);
    if (whole > 0) queue.writeBuffer(buffer, offset, bytes.buffer, bytes.byteOffset, whole);
    if (whole < bytes.byteLength) {
      // Writes are in fours of bytes; the buffer is padded, the array is not.
      const tail = new Uint8Array(4);
      tail.set(bytes.subarray(whole));
      queue.writeBuffer(buffer, offset + whole, tail.buffer);
    }
    // The queue keeps a copy of what it has not written yet: without a wait a whole model would pile up there.
    this.unsettled += bytes.byteLength;
    if (this.unsettled > 8 * CHUNK_BYTES) {
      this.unsettled = 0;
      await queue.onSubmittedWorkDone();
    }
  }
}
