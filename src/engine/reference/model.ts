import { decodeF32 } from '../../formats/safetensors.ts';
import { checkTensors, tensorLayout } from '../../model/layout.ts';
import { dequantizeRows, quantizeRows } from '../../model/quantize.ts';
import { ropeTable } from '../../model/rope.ts';
import type { ModelSpec, RopeSpec } from '../../model/spec.ts';
import type { Quantization, TensorRequirement, TensorRole, WeightSource } from '../../model/weights.ts';
import type { LoadOptions } from '../options.ts';
import { throwIfAborted } from '../request.ts';

/** Matrices are [out, in], all f32; null where the family has no such tensor. */
export interface LayerWeights {
  readonly inputNorm: Float32Array;
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly qBias: Float32Array | null;
  readonly kBias: Float32Array | null;
  readonly vBias: Float32Array | null;
  readonly qNorm: Float32Array | null;
  readonly kNorm: Float32Array | null;
  readonly o: Float32Array;
  readonly oBias: Float32Array | null;
  readonly postAttnNorm: Float32Array | null;
  readonly preMlpNorm: Float32Array;
  readonly gate: Float32Array;
  readonly up: Float32Array;
  readonly down: Float32Array;
  readonly gateBias: Float32Array | null;
  readonly upBias: Float32Array | null;
  readonly downBias: Float32Array | null;
  readonly postMlpNorm: Float32Array | null;
}

/** cos and sin are [positions, headDim / 2]. */
export interface RopeTable {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

export interface ReferenceModel {
  readonly spec: ModelSpec;
  readonly embed: Float32Array;
  /** The embedding itself where the head is tied. */
  readonly head: Float32Array;
  readonly finalNorm: Float32Array;
  readonly layers: readonly LayerWeights[];
  /** By layer; layers of one kind share a table. */
  readonly ropes: readonly RopeTable[];
  /** Of all tensors as kept here. */
  readonly weightBytes: number;
}

const projections: ReadonlySet<TensorRole> = new Set<TensorRole>(['q', 'k', 'v', 'o', 'gate', 'up', 'down']);

/** Bytes read from the source at once. */
const PIECE = 16 * 1024 * 1024;

/** Loads all weights into f32 arrays. Projections are rounded to what `quantization` would keep of them. */
export async function loadModel(
  spec: ModelSpec,
  source: WeightSource,
  quantization: Quantization,
  maxContext: number,
  options: LoadOptions,
): Promise<ReferenceModel> {
  checkTensors(spec, source);
  const layout = tensorLayout(spec);
  const bytesOf = (requirement: TensorRequirement): number => {
    const info = source.tensors.get(requirement.name);
    return requirement.shape.reduce((product, length) => product * length, info?.dtype === 'F32' ? 4 : 2);
  };
  const total = layout.reduce((sum, requirement) => sum + bytesOf(requirement), 0);
  let done = 0;
  const loaded = new Map<string, Float32Array>();
  for (const requirement of layout) {
    const stored = await readTensor(source, requirement, bytesOf(requirement), options, (bytes) => {
      done += bytes;
      options.onProgress?.({ stage: 'upload', done, total, unit: 'bytes' });
    });
    const kept = quantization !== 'none' && projections.has(requirement.role) ? rounded(stored, requirement.shape, quantization) : stored;
    loaded.set(key(requirement.role, requirement.layer), kept);
  }
  const maybe = (role: TensorRole, layer: number): Float32Array | null => loaded.get(key(role, layer)) ?? null;
  const need = (role: TensorRole, layer: number): Float32Array => {
    const tensor = maybe(role, layer);
    if (!tensor) throw new Error(`the layout of ${spec.family} has no ${role} in layer ${layer}`);
    return tensor;
  };
  const embed = need('embed', -1);
  return {
    spec,
    embed,
    head: spec.tiedHead ? embed : need('head', -1),
    finalNorm: need('final_norm', -1),
    layers: Array.from({ length: spec.layers }, (_, layer) => layerWeights(layer, need, maybe)),
    ropes: ropesOf(spec, maxContext),
    weightBytes: [...loaded.values()].reduce((sum, tensor) => sum + tensor.byteLength, 0),
  };
}

function rounded(values: Float32Array, [rows, cols]: readonly number[], kind: 'q8' | 'q4'): Float32Array {
  return dequantizeRows(quantizeRows(values, rows, cols, kind), rows, cols, kind);
}

const key = (role: TensorRole, layer: number): string => `${role}/${layer}`;

function layerWeights(
  layer: number,
  need: (role: TensorRole, layer: number) => Float32Array,
  maybe: (role: TensorRole, layer: number) => Float32Array | null,
): LayerWeights {
  return {
    inputNorm: need('input_norm', layer),
    q: need('q', layer),
    k: need('k', layer),
    v: need('v', layer),
    qBias: maybe('q_bias', layer),
    kBias: maybe('k_bias', layer),
    vBias: maybe('v_bias', layer),
    qNorm: maybe('q_norm', layer),
    kNorm: maybe('k_norm', layer),
    o: need('o', layer),
    oBias: maybe('o_bias', layer),
    postAttnNorm: maybe('post_attn_norm', layer),
    preMlpNorm: need('pre_mlp_norm', layer),
    gate: need('gate', layer),
    up: need('up', layer),
    down: need('down', layer),
    gateBias: maybe('gate_bias', layer),
    upBias: maybe('up_bias', layer),
    downBias: maybe('down_bias', layer),
    postMlpNorm: maybe('post_mlp_norm', layer),
  };
}

function ropesOf(spec: ModelSpec, count: number): RopeTable[] {
  const tables = new Map<string, RopeTable>();
  const tableOf = (rope: RopeSpec): RopeTable => {
    const name = JSON.stringify(rope);
    const known = tables.get(name);
    if (known) return known;
    const table = ropeTable(rope, spec.headDim, count);
    tables.set(name, table);
    return table;
  };
  return spec.layerSpecs.map((layer) => tableOf(layer.rope));
}

/** Piece by piece, so that a slow source shows progress and can be stopped. */
async function readTensor(
  source: WeightSource,
  { name, shape }: TensorRequirement,
  bytes: number,
  options: LoadOptions,
  onBytes: (bytes: number) => void,
): Promise<Float32Array> {
  const dtype = source.tensors.get(name)?.dtype ?? 'F32';
  const out = new Float32Array(shape.reduce((product, length) => product * length, 1));
  const size = bytes / out.length;
  for (let start = 0; start < bytes; start += PIECE) {
    throwIfAborted(options.signal);
    const end = Math.min(bytes, start + PIECE);
    const piece = await source.read(name, start, end, options.signal);
    out.set(decodeF32(piece, dtype, name), start / size);
    onBytes(end - start);
  }
  return out;
}
