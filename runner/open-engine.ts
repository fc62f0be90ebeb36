import type { Engine } from '../src/engine/engine.ts';
import type { LoadOptions } from '../src/engine/options.ts';
import type { WebGpuHost } from '../src/engine/webgpu/host.ts';
import { TillerError } from '../src/errors/error.ts';
import type { ModelFiles } from '../src/model/model.ts';
import type { OpenedModel } from './open-model.ts';
import type { Options } from './options.ts';
import { loadProgress, type Output } from './output.ts';

const engines = ['auto', 'webgpu', 'reference', 'onnx', 'remote'] as const;
const quantizations = ['none', 'q8', 'q4'] as const;
const precisions = ['auto', 'f32', 'f16'] as const;

export interface EngineChoice {
  readonly engine: (typeof engines)[number];
  /** Null: the known model's own, else none. */
  readonly quantization: (typeof quantizations)[number] | null;
  readonly precision: (typeof precisions)[number];
}

/** Reads and checks the options about the engine, before any file is opened. @throws usage, request/engine */
export function engineChoice(options: Options): EngineChoice {
  const engine = options.choice('engine', engines, 'auto');
  if (engine === 'onnx' || engine === 'remote') throw new TillerError('request/engine', { engine, reason: 'it is not there yet' });
  return {
    engine,
    quantization: options.text('quantize') === null ? null : options.choice('quantize', quantizations, 'none'),
    precision: options.choice('precision', precisions, 'auto'),
  };
}

/**
 * The engine that was asked for. `auto` takes WebGPU on any adapter, a software one too, and the reference engine only where there is
 * none; either is said on standard error.
 * @param context tokens that the longest sequence of the request needs, so that no more cache is allocated; null for the model's
 * @throws device/*, model/*, request/aborted
 */
export async function openEngine(
  files: OpenedModel,
  choice: EngineChoice,
  context: number | null,
  output: Output,
  signal: AbortSignal,
): Promise<Engine> {
  const quantization = choice.quantization ?? files.quantization;
  if (choice.quantization === null && quantization !== 'none')
    output.note(`weights are kept as ${quantization}; --quantize none keeps them as stored`);
  const options: LoadOptions = {
    quantization,
    precision: choice.precision,
    ...(context === null ? {} : { maxContext: Math.min(files.spec.maxPositions, Math.max(context, 32)) }),
    onProgress: loadProgress(output),
    signal,
    now: () => performance.now(),
  };
  // Engines are loaded when they are needed: Dawn alone is 40 MB.
  const reference = async (): Promise<Engine> => {
    const { createReferenceEngine } = await import('../src/engine/reference/index.ts');
    return createReferenceEngine(files.spec, files.source, options);
  };
  if (choice.engine === 'reference') return reference();
  try {
    const { createWebGpuEngine } = await import('../src/engine/webgpu/index.ts');
    const { nodeWebGpuHost } = await import('./webgpu-host.ts');
    const { tuningFile } = await import('./tuning-file.ts');
    const host: WebGpuHost = {
      ...(await nodeWebGpuHost()),
      adapterOptions: { powerPreference: 'high-performance' },
      tuning: tuningFile(),
    };
    const engine = await createWebGpuEngine(files.spec, files.source, host, options);
    const { kind, name } = engine.model.adapter;
    if (kind === 'software') output.note(`no GPU: WebGPU runs on the software driver ${name}`);
    return engine;
  } catch (error) {
    const noAdapter = error instanceof TillerError && (error.code === 'device/no-adapter' || error.code === 'device/no-api');
    if (choice.engine === 'webgpu' || !noAdapter) throw error;
    output.note(`the reference engine runs instead of WebGPU: ${error.message} ${error.why}`);
    return reference();
  }
}

/** What every result says about how it came to be. */
export function engineDocument(engine: Engine, files: ModelFiles): Record<string, unknown> {
  const { family, layers, heads, kvHeads, headDim, hidden, intermediate, vocab, quantization, precision, identity, adapter } = engine.model;
  return {
    model: { name: files.name, family, layers, heads, kvHeads, headDim, hidden, intermediate, vocab, quantization, precision, identity },
    engine: engine.model.engine,
    adapter: adapter.name,
    notes: files.notes,
  };
}
