import { TillerError } from '../../errors/error.ts';
import { compilePlan } from '../../graph/compile.ts';
import type { BoundGraph, Lane } from '../../graph/document.ts';
import type { Refusal } from '../../graph/refusal.ts';
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
import type { LoadOptions } from '../options.ts';
import { defaultLanes } from '../request.ts';
import { capture } from './capture.ts';
import type { Core } from './core.ts';
import { generate } from './generate.ts';
import type { WebGpuHost } from './host.ts';
import { loadCore } from './load.ts';
import { score } from './score.ts';

/**
 * Our engine on a WebGPU device: the browser's, or Dawn's in Node. Opens a device of its own, so that what it does to it
 * stays between them.
 * Throws device/no-adapter, device/limits, device/out-of-memory, device/lost, model/tensor-*, model/file, model/self-test,
 * network/failed, request/aborted.
 */
export async function createWebGpuEngine(spec: ModelSpec, source: WeightSource, host: WebGpuHost, options: LoadOptions): Promise<Engine> {
  const core = await loadCore(spec, source, host, options);
  try {
    options.onProgress?.({ stage: 'warm-up', done: 0, total: 1, unit: 'steps' });
    const selfTest = await warmUp(core, options);
    options.onProgress?.({ stage: 'warm-up', done: 1, total: 1, unit: 'steps' });
    return new WebGpuEngine(core, { ...core.info, selfTest });
  } catch (error) {
    core.health.close();
    core.device.destroy();
    throw error;
  }
}

/**
 * One pass through the kernels, so that the first token is not the one that pays for start-up. Where a fingerprint of these
 * weights is stored, the pass is the self-test: its logits must be those of the model.
 */
async function warmUp(core: Core, options: LoadOptions): Promise<ModelInfo['selfTest']> {
  const fingerprint = storedFingerprint(core.info.identity);
  const ids = fingerprint?.tokens ?? [core.spec.bosId ?? 0];
  const { sequences } = await score(core, { sequences: [{ ids }], logits: fingerprint !== null, signal: options.signal });
  if (!fingerprint) return null;
  const logits = sequences[0].logits?.subarray((ids.length - 1) * core.spec.vocab);
  const maxDifference = Math.max(...fingerprint.ids.map((id, i) => Math.abs((logits?.[id] ?? Number.NaN) - fingerprint.logits[i])));
  const allowed = fingerprint.allowed[core.info.quantization];
  // Written so that NaN fails too.
  if (!(maxDifference <= allowed)) throw new TillerError('model/self-test', { difference: maxDifference, allowed });
  options.onProgress?.({ stage: 'self-test', done: 1, total: 1, unit: 'steps' });
  return { maxDifference, allowed };
}

class WebGpuEngine implements Engine {
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
    this.core.health.close();
    this.core.device.destroy();
    return Promise.resolve();
  }
}
