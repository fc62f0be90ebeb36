import { createReferenceEngine } from '../src/engine/reference/index.ts';
import { createWebGpuEngine } from '../src/engine/webgpu/index.ts';
import type { WebGpuHost } from '../src/engine/webgpu/host.ts';
import { TillerError } from '../src/errors/error.ts';
import type { DeviceReport } from '../src/lab/engine-protocol.ts';
import type { HostEnvironment } from '../src/lab/model-access.ts';
import { openModel } from '../src/model/model.ts';
import { resultsOpfs } from '../src/store/results-opfs.ts';
import { browserModels } from './browser-models.ts';
import { findAdapter } from './webgpu-probe.ts';

const shaders = import.meta.glob<string>('../shaders/*.wgsl', { query: '?raw', import: 'default', eager: true });

const shader: WebGpuHost['shader'] = (name) => {
  const text = shaders[`../shaders/${name}.wgsl`];
  if (text === undefined) throw new TillerError('internal', { problem: `there is no kernel ${name}` });
  return text;
};

/** Largest model, in weights' bytes, that the reference engine is given in place of a GPU: plain loops on one core. */
const referenceLimit = 400 * 2 ** 20;

/** Why the reference engine has to do, as an error to show; null when WebGPU is there. */
async function webgpuProblem(): Promise<TillerError | null> {
  try {
    await findAdapter();
    return null;
  } catch (cause) {
    return cause instanceof TillerError ? cause : new TillerError('device/no-adapter', { reason: String(cause) });
  }
}

async function describeDevice(): Promise<DeviceReport> {
  try {
    const adapter = await findAdapter();
    const { vendor, architecture, description } = adapter.info;
    const name = description || [vendor, architecture].filter((part) => part !== '').join(' ') || 'unnamed adapter';
    const software =
      adapter.info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|warp|basic render/i.test(`${name} ${vendor} ${architecture}`);
    return {
      adapter: { name, kind: software ? 'software' : 'hardware', features: [...adapter.features].sort() },
      maxBuffer: adapter.limits.maxBufferSize,
      problem: null,
    };
  } catch (cause) {
    const problem = cause instanceof TillerError ? cause : new TillerError('device/no-adapter', { reason: String(cause) });
    return { adapter: null, maxBuffer: null, problem: problem.toJSON() };
  }
}

export function browserEnvironment(): HostEnvironment {
  const models = browserModels();
  return {
    now: () => performance.now(),
    device: describeDevice,
    storage: models.storage,
    results: models.storage ? resultsOpfs() : null,
    async open(request, onProgress, signal) {
      const { label, licence, files } = await models.find(request, onProgress, signal);
      onProgress({ stage: 'config', done: 0, total: 1, unit: 'steps' });
      return { label, licence, files: await openModel(files, signal) };
    },
    async engine(kind, { spec, source, weightBytes }, options) {
      const problem = kind === 'reference' ? null : await webgpuProblem();
      if (kind === 'auto' && !problem) {
        return { engine: await createWebGpuEngine(spec, source, { gpu: navigator.gpu, shader }, options), fallback: null };
      }
      if (weightBytes > referenceLimit)
        throw problem ?? new TillerError('request/engine', { engine: 'reference', reason: 'the model is too large for it' });
      const engine = await createReferenceEngine(spec, source, {
        ...options,
        precision: options.precision === 'f16' ? 'auto' : options.precision,
      });
      return { engine, fallback: problem?.toJSON() ?? null };
    },
  };
}
