import { decodeF32 } from '../../formats/safetensors.ts';
import { checkTensors } from '../../model/layout.ts';
import { LARGE_TABLE_BYTES } from '../../model/memory.ts';
import { readPackedRows } from '../../model/packed-rows.ts';
import { dequantizeRows, GROUP, groupsOf, type QuantizedRows } from '../../model/quantize.ts';
import type { ModelSpec } from '../../model/spec.ts';
import type { Quantization, TensorDtype, TensorInfo, TensorRole, WeightSource } from '../../model/weights.ts';
import { throwIfAborted } from '../request.ts';
import type { EmbeddingTable } from './embedding.ts';
import type { Matrix } from './matrix.ts';

/** Bytes read from the source at once. */
const PIECE = 16 * 2 ** 20;

const dtypeBytes: Readonly<Record<TensorDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

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

  /** The head's matrix from the tensor of this role: the head's own, or the embedding's where they are one. */
  head(role: 'embed' | 'head'): Promise<Matrix> {
    return this.matrix(role, -1, this.tableKind(role), null);
  }

  /** The embedding: as stored, or in int8 where it is large and weights are quantised. */
  async embedding(): Promise<EmbeddingTable> {
    const info = this.info('embed', -1);
    if (this.tableKind('embed') === 'q8') {
      const { weights } = await this.quantized(info, 'q8', null);
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
    return this.expand ? this.expanded(info, kind, bias) : this.quantized(info, kind, bias);
  }

  private async quantized(info: TensorInfo, kind: 'q8' | 'q4', bias: Float32Array | null): Promise<Matrix> {
    const [outputs, inputs] = info.shape;
    const groups = groupsOf(inputs);
    const data = new Uint8Array(outputs * groups * (kind === 'q4' ? GROUP / 2 : GROUP));
    const scales = new Uint16Array(outputs * groups);
    await this.packedPieces(info, kind, (packed, row) => {
      data.set(packed.data, (row * data.length) / outputs);
      scales.set(packed.scales, row * groups);
    });
    return { outputs, inputs, weights: { kind, quantized: { data, scales } }, bias };
  }

  /** The f32 weights that quantised ones stand for. */
  private async expanded(info: TensorInfo, kind: 'q8' | 'q4', bias: Float32Array | null): Promise<Matrix> {
    const [outputs, inputs] = info.shape;
    const values = new Float32Array(outputs * inputs);
    await this.packedPieces(info, kind, (packed, row, rows) => values.set(dequantizeRows(packed, rows, inputs, kind), row * inputs));
    return { outputs, inputs, weights: { kind: 'f32', values }, bias };
  }

  /** Hands packed rows over, some MiB of the stored matrix at a time. */
  private async packedPieces(
    info: TensorInfo,
    kind: 'q8' | 'q4',
    use: (packed: QuantizedRows, row: number, rows: number) => void,
  ): Promise<void> {
    const [outputs, inputs] = info.shape;
    const rowBytes = inputs * dtypeBytes[info.dtype];
    const step = Math.max(1, Math.floor(PIECE / rowBytes));
    for (let row = 0; row < outputs; row += step) {
      throwIfAborted(this.signal);
      const rows = Math.min(step, outputs - row);
      use(await readPackedRows(this.source, info, kind, row, rows, this.signal), row, rows);
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
