import type { Engine } from '../src/engine/engine.ts';
import type { LoadOptions } from '../src/engine/options.ts';
import { createReferenceEngine } from '../src/engine/reference/index.ts';
import { describeAdapter } from '../src/engine/webgpu/device.ts';
import { createWebGpuEngine } from '../src/engine/webgpu/index.ts';
import type { WebGpuHost } from '../src/engine/webgpu/host.ts';
import { TillerError } from '../src/errors/error.ts';
import { chooseEngine, type BrowserEngine } from '../src/lab/engine-choice.ts';
import type { DeviceReport } from '../src/lab/engine-protocol.ts';
import type { HostEnvironment } from '../src/lab/model-access.ts';
import { expandsTo32 } from '../src/model/cpu-memory.ts';
import { openModel, type ModelFiles } from '../src/model/model.ts';
import type { ModelSpec } from '../src/model/spec.ts';
import { resultsOpfs } from '../src/store/results-opfs.ts';
import { browserModels } from './browser-models.ts';
import { findAdapter } from './webgpu-probe.ts';

const shaders = import.meta.glob<string>('../shaders/*.wgsl', { query: '?raw', import: 'default', eager: true });

const shader: WebGpuHost['shader'] = (name) => {
  const text = shaders[`../shaders/${name}.wgsl`];
  if (text === undefined) throw new TillerError('internal', { problem: `there is no kernel ${name}` });
  return text;
};

/** Largest model, in weights' bytes, that the reference engine is given: plain loops on one core. */
const referenceLimit = 400 * 2 ** 20;

async function describeDevice(): Promise<DeviceReport> {
  try {
    const adapter = await findAdapter();
    return { adapter: describeAdapter(adapter), maxBuffer: adapter.limits.maxBufferSize, problem: null };
  } catch (cause) {
    return { adapter: null, maxBuffer: null, problem: asError(cause).toJSON() };
  }
}

const asError = (cause: unknown): TillerError =>
  cause instanceof TillerError ? cause : new TillerError('device/no-adapter', { reason: String(cause) });

/**
 * The page measures with the engine that writes, so nothing is rounded to int8 where that can be helped: f32 weights are the fastest there
 * are in WebAssembly, as long as they fit. Larger models would take seconds a token without.
 */
const onCpu = (spec: ModelSpec, options: LoadOptions): LoadOptions =>
  options.quantization === undefined || options.quantization === 'none' || expandsTo32(spec, options.quantization, options.expandBelow)
    ? { ...options, precision: 'f32' }
    : options;

async function webgpu({ spec, source }: ModelFiles, options: LoadOptions): Promise<Engine> {
  await findAdapter();
  return createWebGpuEngine(spec, source, { gpu: navigator.gpu, shader }, options);
}

async function onnx({ spec, source }: ModelFiles, options: LoadOptions): Promise<Engine> {
  const [{ createOnnxEngine }, { webOnnxRuntime }] = await Promise.all([import('../src/engine/onnx/index.ts'), import('./onnx-web.ts')]);
  const runtime = await webOnnxRuntime(spec, options.onProgress ?? (() => undefined), options.signal ?? new AbortController().signal);
  // Pieces are made as their weights come: two lines that take turns would say less than one.
  const onProgress: LoadOptions['onProgress'] = (progress) => {
    if (progress.stage !== 'compile') options.onProgress?.(progress);
  };
  try {
    return await createOnnxEngine(spec, source, runtime, { ...onCpu(spec, options), onProgress });
  } catch (cause) {
    // What is not ours is ONNX Runtime's: a browser without SIMD in WebAssembly, for one.
    if (cause instanceof TillerError) throw cause;
    throw new TillerError('request/engine', { engine: 'onnx', reason: cause instanceof Error ? cause.message : String(cause) }, { cause });
  }
}

async function reference({ spec, source, weightBytes }: ModelFiles, options: LoadOptions): Promise<Engine> {
  if (weightBytes > referenceLimit) {
    const reason = `the model's weights are ${mebibytes(weightBytes)}, and it is given ${mebibytes(referenceLimit)} at most`;
    throw new TillerError('request/engine', { engine: 'reference', reason });
  }
  return createReferenceEngine(spec, source, { ...options, precision: 'f32' });
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

const makers: Readonly<Record<BrowserEngine, (model: ModelFiles, options: LoadOptions) => Promise<Engine>>> = { webgpu, onnx, reference };

export function browserEnvironment(): HostEnvironment {
  const models = browserModels();
  return {
    now: () => performance.now(),
    device: describeDevice,
    storage: models.storage,
    results: models.storage ? resultsOpfs() : null,
    async open(request, onProgress, signal) {
      const { place } = request.model;
      if (place.kind === 'runner') {
        const { openRunnerModel } = await import('./runner-model.ts');
        return openRunnerModel(place, request.runnerToken ?? null, signal);
      }
      const { label, licence, files, weights, notes, packed } = await models.find(request, onProgress, signal);
      onProgress({ stage: 'config', done: 0, total: 1, unit: 'steps' });
      return { label, licence, files: await openModel(files, signal, weights ?? undefined), notes, packed };
    },
    async engine(asked, model, options) {
      const { engine, reason } = chooseEngine(asked, await describeDevice());
      try {
        return { engine: await makers[engine](model, options), reason };
      } catch (cause) {
        // ONNX Runtime itself cannot be had: a browser without SIMD in WebAssembly, a file that does not come.
        const absent = cause instanceof TillerError && (cause.code === 'network/failed' || cause.code === 'request/engine');
        if (asked !== 'auto' || engine !== 'onnx' || !absent || model.weightBytes > referenceLimit) throw cause;
        return { engine: await reference(model, options), reason: { kind: 'last-resort', problem: cause.toJSON() } };
      }
    },
  };
}
