import { TillerError } from '../../errors/error.ts';
import { compilePlan } from '../../graph/compile.ts';
import type { BoundGraph, Lane } from '../../graph/document.ts';
import { pointNames, pointWidth } from '../../graph/points.ts';
import type { Refusal } from '../../graph/refusal.ts';
import { DEFAULT_CONTEXT, expandsTo32, wasmNeeded } from '../../model/cpu-memory.ts';
import { storedFingerprint } from '../../model/fingerprint.ts';
import type { ModelSpec } from '../../model/spec.ts';
import type { WeightSource } from '../../model/weights.ts';
import type {
  Capture,
  CaptureRequest,
  Engine,
  GenerateRequest,
  GenerateSummary,
  ModelInfo,
  ScoreRequest,
  Scores,
  Step,
} from '../engine.ts';
import { defaultLanes, throwIfAborted } from '../request.ts';
import { cacheBytesPerToken } from './cache.ts';
import { capture } from './capture.ts';
import { Core, MAX_ROWS } from './core.ts';
import { generate } from './generate.ts';
import { loadModel, type OnnxModel } from './model.ts';
import type { OnnxOptions } from './options.ts';
import { WeightReader } from './read-weights.ts';
import type { ProductSizes } from './kernels/arena.ts';
import { STRAND } from './kernels/layout.ts';
import { Products } from './kernels/products.ts';
import type { OnnxRuntime } from './runtime.ts';
import { score } from './score.ts';
import { measureThreads } from './threads.ts';

const MAX_LANES = 64;
/** An ONNX message has less than 2^31 bytes; weights and scales are not all of it. */
const HEAD_PIECE_BYTES = 2 ** 31 - 2 ** 26;

/**
 * The engine on the CPU, on ONNX Runtime's kernels: onnxruntime-node or onnxruntime-web, whichever `runtime` is.
 * Throws model/tensor-missing, model/tensor-shape, model/file, model/self-test, device/limits (precision f16), device/wasm-memory,
 * device/out-of-memory,
 * request/invalid, request/aborted.
 */
export async function createOnnxEngine(spec: ModelSpec, source: WeightSource, runtime: OnnxRuntime, options: OnnxOptions): Promise<Engine> {
  throwIfAborted(options.signal);
  if (options.precision === 'f16') {
    throw new TillerError('device/limits', { limit: 'half precision arithmetic', got: 'absent', needed: 'present' });
  }
  const asked = options.maxContext ?? DEFAULT_CONTEXT;
  if (!Number.isInteger(asked) || asked < 1) {
    throw new TillerError('request/invalid', { problem: `maxContext must be a whole number of at least 1, got ${asked}` });
  }
  const maxContext = Math.min(spec.maxPositions, asked);
  const quantization = options.quantization ?? 'none';
  // Like f16 on a GPU, int8 activations are for who did not ask for f32.
  const level = options.precision === 'f32' ? 0 : 4;
  const expand = runtime.expandsWeights && expandsTo32(spec, quantization, options.expandBelow);
  if (runtime.memory !== null)
    mustFit(spec, source, runtime.memory, {
      quantization,
      context: maxContext,
      woven: level === 4 && runtime.kernels !== null,
      ...(options.expandBelow === undefined ? {} : { expandBelow: options.expandBelow }),
    });
  const reader = new WeightReader(
    spec,
    source,
    quantization,
    expand,
    (done, total) => options.onProgress?.({ stage: 'upload', done, total, unit: 'bytes' }),
    options.signal,
  );
  const threads = options.threads
    ? { count: options.threads, line: `${options.threads} threads, as asked for` }
    : await measureThreads(runtime, spec, expand ? 'none' : quantization, level, options.now);
  // Where weights are expanded, or nothing may be rounded, ONNX Runtime's kernels are the ones that do that.
  const rounds = quantization !== 'none' && !expand && level === 4;
  const products = rounds && runtime.kernels ? new Products(runtime.kernels, productSizes(spec)) : null;
  const model = await loadModel({
    context: { spec, level },
    runtime,
    threads: threads.count,
    quantized: quantization !== 'none' && !expand,
    reader,
    positions: maxContext,
    headPieceBytes: options.headPieceBytes ?? HEAD_PIECE_BYTES,
    products,
    now: options.now,
    onPiece: (done, total) => options.onProgress?.({ stage: 'compile', done, total, unit: 'kernels' }),
    signal: options.signal,
  });
  try {
    const info = describe(model, source.identity, maxContext, quantization, rounds ? 'int8' : 'f32', [
      productsLine(quantization, level, expand),
      ...(model.kernelThreads === null
        ? []
        : [
            `products of quantised weights: Tiller's own WebAssembly kernels${runtime.kernels?.relaxed ? ' with relaxed SIMD' : ''}, ${model.kernelThreads}`,
          ]),
      threads.line,
      `${runtime.name}; prefill ${MAX_ROWS} rows a call`,
    ]);
    options.onProgress?.({ stage: 'warm-up', done: 0, total: 1, unit: 'steps' });
    const core = new Core(model, info, options.now);
    const selfTest = await warmUp(core, options);
    options.onProgress?.({ stage: 'warm-up', done: 1, total: 1, unit: 'steps' });
    return new OnnxEngine(core, { ...info, selfTest });
  } catch (error) {
    await model.release();
    throw error;
  }
}

/** The largest operands of the pieces, with room for rows that fill strands up. */
function productSizes({ hidden, intermediate, heads, kvHeads, headDim, vocab }: ModelSpec): ProductSizes {
  const outputs = Math.max(vocab, 2 * intermediate, (heads + 2 * kvHeads) * headDim, hidden) + 3 * STRAND;
  return { inputs: Math.max(hidden, heads * headDim, intermediate), outputs };
}

/** Counts before anything is allocated. @throws device/wasm-memory */
function mustFit(spec: ModelSpec, source: WeightSource, limit: number, options: Omit<Parameters<typeof wasmNeeded>[1], 'stored'>): void {
  const stored = [...source.tensors.values()].find(({ shape }) => shape.length === 2)?.dtype ?? 'F32';
  const { weights, packing, working, total } = wasmNeeded(spec, { ...options, stored });
  if (total <= limit) return;
  const [needed, kept, more] = [total, weights, packing + working].map((bytes) => `${(bytes / 2 ** 30).toFixed(2)} GiB`);
  throw new TillerError('device/wasm-memory', { needed, weights: kept, more, limit: `${limit / 2 ** 30} GiB` });
}

function productsLine(quantization: ModelInfo['quantization'], level: number, expand: boolean): string {
  if (quantization === 'none') return 'products: f32; 16-bit weights are widened at load';
  if (expand) return `products: f32, with the weights that ${quantization} stands for, which is faster here`;
  const activations =
    level === 4 ? 'activations rounded to int8 in blocks of 32, sums in f32 (precision f32 rounds none)' : 'activations and sums in f32';
  return `products: ${quantization} weights, ${activations}`;
}

function describe(
  model: OnnxModel,
  identity: string,
  maxContext: number,
  quantization: ModelInfo['quantization'],
  precision: ModelInfo['precision'],
  kernels: readonly string[],
): ModelInfo {
  const { spec, runtime } = model;
  const { family, layers, heads, kvHeads, headDim, hidden, intermediate, vocab } = spec;
  const row = 4 * (5 * hidden + 2 * heads * headDim + 2 * kvHeads * headDim + 4 * intermediate);
  return {
    family,
    layers,
    heads,
    kvHeads,
    headDim,
    hidden,
    intermediate,
    engine: 'onnx',
    vocab,
    maxPositions: spec.maxPositions,
    points: pointNames.map((point) => ({ point, width: pointWidth(point, spec, vocab) })),
    quantization,
    precision,
    subgroups: false,
    adapter: { name: runtime.name, kind: 'cpu', features: [] },
    limits: { maxContext, maxLanes: MAX_LANES },
    memory: { weights: model.weightBytes, cachePerToken: cacheBytesPerToken(spec), scratch: MAX_ROWS * row + 8 * vocab * 4 },
    identity,
    eosIds: spec.eosIds,
    selfTest: null,
    kernels,
  };
}

/** One pass, so that the first token does not pay for start-up; where a fingerprint is stored, its logits must be the model's. */
async function warmUp(core: Core, options: OnnxOptions): Promise<ModelInfo['selfTest']> {
  const fingerprint = storedFingerprint(core.info.identity);
  const ids = fingerprint?.tokens ?? [core.model.spec.bosId ?? 0];
  if (ids.length > core.info.limits.maxContext) return null;
  const { sequences } = await score(core, { sequences: [{ ids }], logits: true, signal: options.signal });
  if (!fingerprint) return null;
  const logits = sequences[0].logits?.subarray((ids.length - 1) * core.info.vocab);
  const maxDifference = Math.max(...fingerprint.ids.map((id, i) => Math.abs((logits?.[id] ?? Number.NaN) - fingerprint.logits[i])));
  const allowed = fingerprint.allowed[core.info.quantization];
  // Written so that NaN fails too.
  if (!(maxDifference <= allowed)) throw new TillerError('model/self-test', { difference: maxDifference, allowed });
  options.onProgress?.({ stage: 'self-test', done: 1, total: 1, unit: 'steps' });
  return { maxDifference, allowed };
}

class OnnxEngine implements Engine {
  constructor(
    private readonly core: Core,
    readonly model: ModelInfo,
  ) {}

  generate(request: GenerateRequest): AsyncGenerator<Step, GenerateSummary, void> {
    return generate(this.core, request);
  }

  score(request: ScoreRequest): Promise<Scores> {
    return score(this.core, request);
  }

  capture(request: CaptureRequest): Promise<Capture> {
    return capture(this.core, request);
  }

  check(graph: BoundGraph, lanes: readonly Lane[] = defaultLanes(graph)): Refusal[] {
    return compilePlan({ graph, shape: this.model, vocab: this.model.vocab, lanes }).refusals;
  }

  dispose(): Promise<void> {
    return this.core.close();
  }
}
