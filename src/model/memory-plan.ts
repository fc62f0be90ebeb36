import { tensorLayout } from './layout.ts';
import { keptAs, parameterCount } from './memory.ts';
import { GROUP, groupsOf } from './quantize.ts';
import { elementBytes } from './row-tensors.ts';
import type { ModelSpec } from './spec.ts';
import type { Quantization, TensorDtype, TensorInfo, TensorRequirement } from './weights.ts';

/**
 * What a model needs, counted from its shape before anything is read or allocated. The counts are those of the engines; tests hold
 * them together (docs/big-models.md).
 */

export type PlanEngine = 'webgpu' | 'onnx';

export interface PlanOptions {
  readonly engine: PlanEngine;
  readonly quantization: Quantization;
  /** As of `LoadOptions`. @default 'auto' */
  readonly precision?: 'auto' | 'f32' | 'f16';
  /** Tokens that one sequence may have; never more than the model's. */
  readonly context: number;
  /** Sequences side by side, the unedited one among them. */
  readonly lanes: number;
  /** How the files keep the weights: one dtype, or the tensors of a source. */
  readonly stored: TensorDtype | ReadonlyMap<string, TensorInfo>;
}

/** All in bytes but `context` and `lanes`. */
export interface MemoryPlan {
  readonly engine: PlanEngine;
  readonly quantization: Quantization;
  readonly context: number;
  readonly lanes: number;
  readonly parameters: number;
  /** As the engine keeps them: `ModelInfo.memory.weights`. */
  readonly weights: number;
  /** Keys and values of one token in all layers: `ModelInfo.memory.cachePerToken`. */
  readonly cachePerToken: number;
  /** Of one lane over the whole context. */
  readonly cachePerLane: number;
  readonly cache: number;
  /** What of `cachePerLane` sliding windows ever look at; the engines keep all positions of all layers. */
  readonly cacheSeen: number;
  /** Activations of one call, logits, rotary tables. */
  readonly scratch: number;
  readonly total: number;
  /** In the host's memory, besides all that: copies of a piece while it is loaded, and what runtime and allocator keep. */
  readonly loading: number;
  /** The most that there is at a time on the device that computes: what is compared with its memory. */
  readonly peak: number;
  /** The largest thing that cannot be divided over buffers. */
  readonly largestBuffer: { readonly label: string; readonly bytes: number };
}

/** Rows of a prompt that are computed in one call, at most: of each engine. */
const callRows: Readonly<Record<PlanEngine, number>> = { webgpu: 128, onnx: 256 };
/** Logit rows that are there at least. */
const LOGIT_ROWS = 8;
/** Chunks of weights on their way to a GPU. */
const UPLOAD_BYTES = 192 * 2 ** 20;
/**
 * Copies of a piece while ONNX Runtime takes it: packed rows, the message, the parsed message, the tensor, the kernel's own layout.
 * Some are gone before others come.
 */
const PIECE_COPIES = 4;
/**
 * What a process on the CPU takes beyond its weights once it is loaded, as a share of them: kernels' own layouts and what the allocator
 * does not give back. Measured: 7.05 GB resident with 4.34 GB of weights (Llama-2-7B's shape, q4), 2.2 with 1.8 (14 layers of it).
 */
const HOST_WASTE = 0.6;

const padded = (width: number): number => Math.ceil(width / GROUP) * GROUP;
const countOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

/** Counts what a model needs. */
export function planMemory(spec: ModelSpec, options: PlanOptions): MemoryPlan {
  const { engine, quantization, lanes } = options;
  const context = Math.min(options.context, spec.maxPositions);
  const { weights, largestPiece } = engine === 'webgpu' ? gpuWeights(spec, options) : hostWeights(spec, options);
  const numberBytes = cacheNumberBytes(spec, options);
  const perLayer = 2 * spec.kvHeads * paddedHead(spec, engine) * numberBytes;
  const cachePerToken = spec.layers * perLayer;
  const positions = Math.ceil(context / 64) * 64;
  const slots = engine === 'webgpu' ? Math.max(2, lanes) : lanes;
  const cache = slots * positions * cachePerToken;
  const cacheSeen = spec.layerSpecs.reduce((sum, { window }) => sum + Math.min(window ?? context, context) * perLayer, 0);
  const scratch = scratchBytes(spec, engine, context, lanes);
  const loading = engine === 'webgpu' ? UPLOAD_BYTES : Math.max(PIECE_COPIES * largestPiece, Math.ceil(HOST_WASTE * weights));
  const total = weights + cache + scratch;
  const onePlane = (slots * positions * perLayer) / 2;
  const logits = Math.max(LOGIT_ROWS, lanes) * padded(spec.vocab) * 4;
  return {
    engine,
    quantization,
    context,
    lanes,
    parameters: parameterCount(spec),
    weights,
    cachePerToken,
    cachePerLane: positions * cachePerToken,
    cache,
    cacheSeen,
    scratch,
    total,
    loading,
    peak: engine === 'webgpu' ? total : total + loading,
    largestBuffer: onePlane >= logits ? { label: 'the keys of one layer', bytes: onePlane } : { label: 'logits', bytes: logits },
  };
}

const paddedHead = ({ headDim }: ModelSpec, engine: PlanEngine): number => (engine === 'webgpu' ? Math.ceil(headDim / 4) * 4 : headDim);

const dtypeOf = (stored: PlanOptions['stored'], name: string): TensorDtype =>
  typeof stored === 'string' ? stored : (stored.get(name)?.dtype ?? 'F32');

/** The WebGPU engine keeps keys and values in f16 unless f32 was asked for or the projections are f32. */
function cacheNumberBytes(spec: ModelSpec, { engine, precision = 'auto', quantization, stored }: PlanOptions): 2 | 4 {
  if (engine === 'onnx' || precision === 'f32') return 4;
  if (quantization !== 'none' || precision === 'f16') return 2;
  const wide = gpuProjections(spec, stored).some((dtypes) => dtypes.has('F32') || dtypes.size > 1);
  return wide ? 4 : 2;
}

/** Tensors that the WebGPU engine puts into one matrix, and so into one format. */
const together: Readonly<Partial<Record<TensorRequirement['role'], string>>> = {
  q: 'qkv',
  k: 'qkv',
  v: 'qkv',
  gate: 'gateUp',
  up: 'gateUp',
};
const matrixKey = ({ role, layer }: TensorRequirement): string => `${together[role] ?? role} ${layer}`;

function storedTogether(spec: ModelSpec, stored: PlanOptions['stored']): Map<string, Set<TensorDtype>> {
  const groups = new Map<string, Set<TensorDtype>>();
  for (const requirement of tensorLayout(spec)) {
    if (requirement.shape.length === 1) continue;
    const key = matrixKey(requirement);
    groups.set(key, (groups.get(key) ?? new Set()).add(dtypeOf(stored, requirement.name)));
  }
  return groups;
}

function gpuProjections(spec: ModelSpec, stored: PlanOptions['stored']): Set<TensorDtype>[] {
  return [...storedTogether(spec, stored)].filter(([key]) => !key.endsWith(' -1')).map(([, dtypes]) => dtypes);
}

/** Rows padded to groups of 32 inputs, scales in half precision. Tied heads are the embedding. */
function gpuWeights(spec: ModelSpec, { quantization, precision, stored }: PlanOptions): { weights: number; largestPiece: number } {
  const groups = storedTogether(spec, stored);
  const widest = Math.max(spec.vocab, 2 * spec.intermediate, (spec.heads + 2 * spec.kvHeads) * spec.headDim, spec.hidden);
  let weights = 4 * widest;
  let largestPiece = 0;
  for (const requirement of tensorLayout(spec)) {
    const { shape, name } = requirement;
    if (shape.length === 1) {
      weights += shape[0] * 4;
      continue;
    }
    const kind = keptAs(requirement, dtypeOf(stored, name), quantization);
    const mixed = (groups.get(matrixKey(requirement))?.size ?? 1) > 1;
    const wide = precision === 'f16' ? 2 : mixed ? 4 : elementBytes[dtypeOf(stored, name)];
    const bytes = shape[0] * groupsOf(shape[1]) * (kind === 'none' ? GROUP * wide : (kind === 'q4' ? GROUP / 2 : GROUP) + 2);
    weights += bytes;
    largestPiece = Math.max(largestPiece, bytes);
  }
  return { weights, largestPiece };
}

/** A larger head is divided: an ONNX message has less than 2^31 bytes. ONNX Runtime's products take f32 weights, or integers with f32 scales. The embedding is looked up as it is stored; a tied head is a copy. */
function hostWeights(spec: ModelSpec, { quantization, stored }: PlanOptions): { weights: number; largestPiece: number } {
  let weights = 0;
  const pieces = new Map<string, number>();
  const product = (requirement: TensorRequirement): number => {
    const [rows, cols] = requirement.shape;
    const kind = keptAs(requirement, dtypeOf(stored, requirement.name), quantization);
    const bytes = kind === 'none' ? rows * cols * 4 : rows * groupsOf(cols) * ((kind === 'q4' ? GROUP / 2 : GROUP) + 4);
    const key = matrixKey(requirement);
    pieces.set(key, (pieces.get(key) ?? 0) + bytes);
    return bytes;
  };
  for (const requirement of tensorLayout(spec)) {
    const { role, shape, name } = requirement;
    if (shape.length === 1) {
      if (role.endsWith('bias')) weights += shape[0] * 4;
      continue;
    }
    if (role !== 'embed') {
      weights += product(requirement);
      continue;
    }
    const dtype = dtypeOf(stored, name);
    const kind = keptAs(requirement, dtype, quantization);
    weights += kind === 'none' ? countOf(shape) * elementBytes[dtype] : shape[0] * groupsOf(shape[1]) * (GROUP + 2);
    if (spec.tiedHead) weights += product(requirement);
  }
  return { weights, largestPiece: Math.min(2 ** 31, Math.max(...pieces.values())) };
}

function scratchBytes(spec: ModelSpec, engine: PlanEngine, context: number, lanes: number): number {
  const { heads, kvHeads, headDim, hidden, intermediate, vocab } = spec;
  const kinds = new Set(spec.layerSpecs.map(({ rope }) => JSON.stringify(rope))).size;
  const rope = kinds * context * headDim * 4;
  const rows = Math.max(callRows[engine], lanes);
  const logits = Math.max(LOGIT_ROWS, lanes) * 4;
  if (engine === 'onnx') {
    return rows * 4 * (5 * hidden + 2 * heads * headDim + 2 * kvHeads * headDim + 4 * intermediate) + logits * vocab + rope;
  }
  const width =
    3 * padded(hidden) + padded((heads + 2 * kvHeads) * headDim) + padded(heads * headDim) + 2 * intermediate + 2 * padded(intermediate);
  return rows * (4 * width + 24) + logits * padded(vocab) + rope;
}
