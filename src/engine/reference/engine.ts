import { TillerError } from '../../errors/error.ts';
import { compilePlan } from '../../graph/compile.ts';
import type { BoundGraph, Lane } from '../../graph/document.ts';
import { pointNames, pointWidth } from '../../graph/points.ts';
import type { Refusal } from '../../graph/refusal.ts';
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
import type { LoadOptions } from '../options.ts';
import { defaultLanes, throwIfAborted } from '../request.ts';
import { capture } from './capture.ts';
import { generate } from './generate.ts';
import { loadModel, type ReferenceModel } from './model.ts';
import { score } from './score.ts';

/** Longest context unless the caller asks for more. */
const DEFAULT_CONTEXT = 4096;
const MAX_LANES = 64;

/**
 * The engine in plain loops: what the kernels are compared with, and what runs where there is no WebGPU.
 * Weights are kept in f32 (integer quantisation rounds them to the values that the integers stand for), sums are f64.
 * Throws model/tensor-missing, model/tensor-shape, model/file, device/limits (precision f16), request/aborted.
 */
export async function createReferenceEngine(spec: ModelSpec, source: WeightSource, options: LoadOptions): Promise<Engine> {
  throwIfAborted(options.signal);
  if (options.precision === 'f16')
    throw new TillerError('device/limits', { limit: 'half precision arithmetic', got: 'absent', needed: 'present' });
  const asked = options.maxContext ?? DEFAULT_CONTEXT;
  if (!Number.isInteger(asked) || asked < 1)
    throw new TillerError('request/invalid', { problem: `maxContext must be a whole number of at least 1, got ${asked}` });
  const maxContext = Math.min(spec.maxPositions, asked);
  const quantization = options.quantization ?? 'none';
  const model = await loadModel(spec, source, quantization, maxContext, options);
  return new ReferenceEngine(model, describe(model, source.identity, quantization, maxContext), options.now);
}

function describe(model: ReferenceModel, identity: string, quantization: ModelInfo['quantization'], maxContext: number): ModelInfo {
  const { spec } = model;
  const { family, layers, heads, kvHeads, headDim, hidden, intermediate, vocab } = spec;
  return {
    family,
    layers,
    heads,
    kvHeads,
    headDim,
    hidden,
    intermediate,
    engine: 'reference',
    vocab,
    maxPositions: spec.maxPositions,
    points: pointNames.map((point) => ({ point, width: pointWidth(point, spec, vocab) })),
    quantization,
    precision: 'f32',
    subgroups: false,
    adapter: { name: 'plain loops on the CPU', kind: 'cpu', features: [] },
    limits: { maxContext, maxLanes: MAX_LANES },
    memory: {
      weights: model.weightBytes,
      cachePerToken: 2 * 4 * layers * kvHeads * headDim,
      scratch: 4 * (6 * hidden + 2 * heads * headDim + 2 * kvHeads * headDim + 2 * intermediate + vocab),
    },
    identity,
    eosIds: spec.eosIds,
    selfTest: null,
    kernels: ['plain loops: f32 storage, f64 sums'],
  };
}

class ReferenceEngine implements Engine {
  readonly model: ModelInfo;
  private weights: ReferenceModel | null;
  private readonly now: () => number;

  constructor(weights: ReferenceModel, info: ModelInfo, now: () => number) {
    this.weights = weights;
    this.model = info;
    this.now = now;
  }

  async *generate(request: GenerateRequest): AsyncGenerator<Step, GenerateSummary, void> {
    return yield* generate(this.open(), this.model, this.now, request);
  }

  async score(request: ScoreRequest): Promise<Scores> {
    return score(this.open(), this.model, this.now, request);
  }

  async capture(request: CaptureRequest): Promise<Capture> {
    return capture(this.open(), this.model, this.now, request);
  }

  check(graph: BoundGraph, lanes: readonly Lane[] = defaultLanes(graph)): Refusal[] {
    return compilePlan({ graph, shape: this.model, vocab: this.model.vocab, lanes }).refusals;
  }

  dispose(): Promise<void> {
    this.weights = null;
    return Promise.resolve();
  }

  private open(): ReferenceModel {
    if (!this.weights) throw new TillerError('request/engine', { engine: 'reference', reason: 'it has been closed' });
    return this.weights;
  }
}
