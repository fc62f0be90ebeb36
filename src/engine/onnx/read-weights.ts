import { decodeF32 } from '../../formats/safetensors.ts';
import { checkTensors } from '../../model/layout.ts';
import { LARGE_TABLE_BYTES } from '../../model/memory.ts';
import { readPackedRows } from '../../model/packed-rows.ts';
import { dequantizeRows, GROUP, groupsOf } from '../../model/quantize.ts';
import type { ModelSpec } from '../../model/spec.ts';
import type { Quantization, TensorDtype, TensorInfo, TensorRole, WeightSource } from '../../model/weights.ts';
import { throwIfAborted } from '../request.ts';
import type { EmbeddingTable } from './embedding.ts';
import type { Matrix } from './matrix.ts';

/** Bytes read from the source at once. */
const PIECE = 16 * 2 ** 20;

const dtypeBytes: Readonly<Record<TensorDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Rows [first, first + count) of a matrix. */
interface MatrixRows {
  readonly info: TensorInfo;
  readonly first: number;
  readonly count: number;
}

/** Tensors of a source by role and layer, read a few MiB at a time and quantised on the way. */
export class WeightReader {
  /** Bytes of all tensors in the source. */
  readonly total: number;
  private done = 0;
  private readonly byRole = new Map<string, TensorInfo>();

  /** Throws model/tensor-missing, model/tensor-shape. */
  constructor(
    spec: ModelSpec,
    private readonly source: WeightSource,
    private readonly quantization: Quantization,
    /** Quantised matrices are kept as the f32 weights that they stand for. */
    private readonly expand: boolean,
    private readonly onProgress: (done: number, total: number) => void,
    private readonly signal: AbortSignal | undefined,
  ) {
    let total = 0;
    for (const { requirement, info } of checkTensors(spec, source).tensors.values()) {
      this.byRole.set(`${requirement.role} ${requirement.layer}`, info);
      total += info.shape.reduce((product, length) => product * length, dtypeBytes[info.dtype]);
    }
    this.total = total;
  }

  /** A vector in f32. */
  async vector(role: TensorRole, layer: number): Promise<Float32Array> {
    const info = this.info(role, layer);
    const out = new Float32Array(info.shape.reduce((product, length) => product * length, 1));
    let at = 0;
    await this.pieces(info, out.length, (bytes) => {
      const values = decodeF32(bytes, info.dtype, info.name);
      out.set(values, at);
      at += values.length;
    });
    return out;
  }

  /** A projection, quantised as asked for. */
  async projection(role: TensorRole, layer: number, bias: TensorRole | null): Promise<Matrix> {
    return this.matrix(role, layer, this.quantization, bias === null ? null : await this.vector(bias, layer));
  }

  /** Rows of the head's matrix from the tensor of this role: the head's own, or the embedding's where they are one. */
  async head(role: 'embed' | 'head', first: number, count: number): Promise<Matrix> {
    const info = this.info(role, -1);
    const part = { info, first, count };
    if (this.tableKind(role) === 'q8') return this.expand ? this.expanded(part, 'q8', null) : this.quantized(part, 'q8', null);
    const inputs = info.shape[1];
    const values = new Float32Array(count * inputs);
    let at = 0;
    await this.rowPieces(part, async (row, rows) => {
      const rowBytes = inputs * dtypeBytes[info.dtype];
      values.set(
        decodeF32(await this.source.read(info.name, row * rowBytes, (row + rows) * rowBytes, this.signal), info.dtype, info.name),
        at,
      );
      at += rows * inputs;
    });
    return { outputs: count, inputs, weights: { kind: 'f32', values }, bias: null };
  }

  /** Bytes of one row of the head as a piece holds it. */
  headRowBytes(role: 'embed' | 'head'): number {
    const inputs = this.info(role, -1).shape[1];
    // int8 in f32 arithmetic is two int4 products with scales of their own.
    return this.tableKind(role) === 'q8' && !this.expand ? groupsOf(inputs) * (GROUP + 9) : inputs * 4;
  }

  /** The embedding: as stored, or in int8 where it is large and weights are quantised. */
  async embedding(): Promise<EmbeddingTable> {
    const info = this.info('embed', -1);
    if (this.tableKind('embed') === 'q8') {
      const { weights } = await this.quantized({ info, first: 0, count: info.shape[0] }, 'q8', null);
      if (weights.kind !== 'q8') throw new Error('the embedding was not quantised');
      return { kind: 'q8', quantized: weights.quantized };
    }
    if (info.dtype === 'F32') return { kind: 'f32', values: await this.vector('embed', -1) };
    const bits = new Uint16Array(info.shape[0] * info.shape[1]);
    const raw = new Uint8Array(bits.buffer);
    let at = 0;
    await this.pieces(info, bits.length, (bytes) => {
      raw.set(bytes, at);
      at += bytes.length;
    });
    return { kind: info.dtype === 'F16' ? 'f16' : 'bf16', bits };
  }

  /** How a table is kept; the rule is the WebGPU engine's. */
  tableKind(role: 'embed' | 'head'): 'stored' | 'q8' {
    const { dtype, shape } = this.info(role, -1);
    if (this.quantization === 'none') return 'stored';
    return shape[0] * shape[1] * dtypeBytes[dtype] > LARGE_TABLE_BYTES ? 'q8' : 'stored';
  }

  private async matrix(role: TensorRole, layer: number, kind: Quantization | 'stored', bias: Float32Array | null): Promise<Matrix> {
    const info = this.info(role, layer);
    const [outputs, inputs] = info.shape;
    if (kind === 'none' || kind === 'stored') {
      return { outputs, inputs, weights: { kind: 'f32', values: await this.vector(role, layer) }, bias };
    }
    const whole = { info, first: 0, count: outputs };
    return this.expand ? this.expanded(whole, kind, bias) : this.quantized(whole, kind, bias);
  }

  private async quantized(part: MatrixRows, kind: 'q8' | 'q4', bias: Float32Array | null): Promise<Matrix> {
    const { info, first, count } = part;
    const inputs = info.shape[1];
    const groups = groupsOf(inputs);
    const data = new Uint8Array(count * groups * (kind === 'q4' ? GROUP / 2 : GROUP));
    const scales = new Uint16Array(count * groups);
    await this.rowPieces(part, async (row, rows) => {
      const packed = await readPackedRows(this.source, info, kind, row, rows, this.signal);
      data.set(packed.data, ((row - first) * data.length) / count);
      scales.set(packed.scales, (row - first) * groups);
    });
    return { outputs: count, inputs, weights: { kind, quantized: { data, scales } }, bias };
  }

  /** The f32 weights that quantised ones stand for. */
  private async expanded(part: MatrixRows, kind: 'q8' | 'q4', bias: Float32Array | null): Promise<Matrix> {
    const { info, first, count } = part;
    const inputs = info.shape[1];
    const values = new Float32Array(count * inputs);
    await this.rowPieces(part, async (row, rows) => {
      const packed = await readPackedRows(this.source, info, kind, row, rows, this.signal);
      values.set(dequantizeRows(packed, rows, inputs, kind), (row - first) * inputs);
    });
    return { outputs: count, inputs, weights: { kind: 'f32', values }, bias };
  }

  /** Goes through rows of a matrix, some MiB of the stored ones at a time. */
  private async rowPieces({ info, first, count }: MatrixRows, use: (row: number, rows: number) => Promise<void>): Promise<void> {
    const rowBytes = info.shape[1] * dtypeBytes[info.dtype];
    const step = Math.max(1, Math.floor(PIECE / rowBytes));
    for (let row = first; row < first + count; row += step) {
      throwIfAborted(this.signal);
      const rows = Math.min(step, first + count - row);
      await use(row, rows);
      this.done += rows * rowBytes;
      this.onProgress(Math.min(this.done, this.total), this.total);
    }
  }

  /** Hands a tensor's bytes over in pieces of whole units of `unit` elements. */
  private async pieces(info: TensorInfo, unit: number, use: (bytes: Uint8Array) => void): Promise<void> {
    const unitBytes = unit * dtypeBytes[info.dtype];
    const bytes = info.shape.reduce((product, length) => product * length, dtypeBytes[info.dtype]);
    const step = info.shape.length === 1 || unitBytes === bytes ? PIECE : Math.max(1, Math.floor(PIECE / unitBytes)) * unitBytes;
    for (let start = 0; start < bytes; start += step) {
      throwIfAborted(this.signal);
      const end = Math.min(bytes, start + step);
      use(await this.source.read(info.name, start, end, this.signal));
      this.done += end - start;
      this.onProgress(Math.min(this.done, this.total), this.total);
    }
  }

  private info(role: TensorRole, layer: number): TensorInfo {
    const info = this.byRole.get(`${role} ${layer}`);
    if (!info) throw new Error(`no tensor for ${role} of layer ${layer}`);
    return info;
  }
}
