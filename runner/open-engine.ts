import type { Engine, LoadProgress } from '../src/engine/engine.ts';
import type { LoadOptions } from '../src/engine/options.ts';
import type { WebGpuHost } from '../src/engine/webgpu/host.ts';
import { TillerError } from '../src/errors/error.ts';
import { driftNote, measureDrift } from '../src/model/drift.ts';
import type { ModelFiles } from '../src/model/model.ts';
import { loadWithPacked } from '../src/model/packed-cache.ts';
import type { Quantization, WeightSource } from '../src/model/weights.ts';
import type { PlanEngine } from '../src/model/memory-plan.ts';
import { refuseTooLarge } from '../src/model/memory-room.ts';
import { adapterOptions, adapterRoom, hostRoom } from './machine-room.ts';
import type { OpenedModel } from './open-model.ts';
import { usage, type Options } from './options.ts';
import { remoteOptions } from './command.ts';
import type { RunnerPlace } from '../src/engine/remote/connection.ts';
import { loadProgress, type Output } from './output.ts';
import { openCachedWeights, type CacheMode } from './weight-cache.ts';

const engines = ['auto', 'webgpu', 'reference', 'onnx', 'remote'] as const;
const quantizations = ['none', 'q8', 'q4'] as const;
const precisions = ['auto', 'f32', 'f16'] as const;

export interface EngineChoice {
  readonly engine: (typeof engines)[number];
  /** Null: the known model's own, else none. */
  readonly quantization: (typeof quantizations)[number] | null;
  readonly precision: (typeof precisions)[number];
  readonly weightCache: CacheMode;
  /** Load whatever the count of memory says. */
  readonly anyway: boolean;
  /** Where the engine `remote` is; null for the others. */
  readonly runner: RunnerPlace | null;
}

/** Reads and checks the options about the engine, before any file is opened. @throws usage, request/engine */
export function engineChoice(options: Options): EngineChoice {
  const engine = options.choice('engine', engines, 'auto');
  const runner = runnerOption(options, engine);
  return {
    engine,
    quantization: options.text('quantize') === null ? null : options.choice('quantize', quantizations, 'none'),
    precision: options.choice('precision', precisions, 'auto'),
    weightCache: options.flag('no-weight-cache') ? 'off' : cacheMode(),
    anyway: options.flag('anyway'),
    runner,
  };
}

/** @throws usage */
function cacheMode(): CacheMode {
  const mode = process.env.TILLER_WEIGHT_CACHE ?? 'auto';
  if (mode === 'auto' || mode === 'always' || mode === 'off') return mode;
  throw usage(`TILLER_WEIGHT_CACHE is "${mode}", expected auto, always or off`);
}

/** The runner of `--engine remote`; how its models are kept is its own business. @throws usage */
function runnerOption(options: Options, engine: EngineChoice['engine']): RunnerPlace | null {
  if (engine !== 'remote') {
    for (const name of remoteOptions) if (options.text(name) !== null) throw usage(`--${name} needs --engine remote`);
    return null;
  }
  for (const name of ['quantize', 'precision', 'no-weight-cache', 'anyway'] as const)
    if (options.text(name) !== null || options.flag(name))
      throw usage(`--${name} means nothing with --engine remote: the runner has its own`);
  return { address: options.needed('runner'), token: options.text('runner-token') ?? process.env.TILLER_RUNNER_TOKEN ?? null };
}

/**
 * The engine that was asked for. `auto` takes WebGPU where there is a GPU, else ONNX Runtime on the CPU, which is many times as fast as
 * a software driver; what it took and why is said on standard error.
 * @param context tokens that the longest sequence of the request needs, so that no more cache is allocated; null for the model's
 * @param use `measure`: on the CPU nothing is rounded to int8 unless asked for, so that numbers are those of the weights; `write`: what is
 * fastest is taken
 * @throws device/*, model/*, request/engine, request/aborted
 */
export async function openEngine(
  files: OpenedModel,
  choice: EngineChoice,
  context: number | null,
  output: Output,
  signal: AbortSignal,
  use: 'measure' | 'write' = 'measure',
  onProgress: (progress: LoadProgress) => void = loadProgress(output),
): Promise<Engine> {
  if (choice.runner) return remote(files, choice.runner, onProgress, signal);
  if (choice.engine === 'remote') throw new TillerError('request/engine', { engine: 'remote', reason: 'no runner is named' });
  const quantization = choice.quantization ?? files.quantization;
  const taken = choice.engine === 'auto' ? await automatic() : { engine: choice.engine, missing: null };
  if (!choice.anyway) await refuseWithoutRoom(files, choice, quantization, context, taken.engine);
  if (choice.quantization === null && quantization !== 'none')
    output.note(`weights are kept as ${quantization}; --quantize none keeps them in 16 or 32 bits`);
  const options: LoadOptions = {
    quantization,
    precision: choice.precision,
    ...(context === null ? {} : { maxContext: Math.min(files.spec.maxPositions, Math.max(context, 32)) }),
    onProgress,
    signal,
    now: () => performance.now(),
  };
  if (taken.engine === 'reference') {
    if (drifts(files, quantization)) output.note(await drifted(files, quantization, signal));
    return reference(files, options);
  }
  const load = (source: WeightSource): Promise<Engine> =>
    taken.engine === 'webgpu' ? webGpu({ ...files, source }, options, output) : onnx({ ...files, source }, options, use);
  if (taken.missing === null) return withCachedWeights(files, choice, quantization, output, signal, load);
  try {
    const engine = await withCachedWeights(files, choice, quantization, output, signal, load);
    output.note(`no GPU (${taken.missing}): the model runs on the CPU with ONNX Runtime; --engine webgpu takes a software driver`);
    return engine;
  } catch (error) {
    if (!(error instanceof TillerError && error.code === 'request/engine')) throw error;
    output.note(`no GPU (${taken.missing}), and no ONNX Runtime: the slow reference engine runs. ${error.message}`);
    return reference(files, options);
  }
}

/** Whether the weights were stored in fewer bits than engines offer, so that quantising them again moves them. */
const drifts = ({ stored }: ModelFiles, quantization: Quantization): quantization is 'q8' | 'q4' =>
  quantization !== 'none' && stored[0] !== 'safetensors';

const drifted = async ({ spec, source, stored }: ModelFiles, quantization: 'q8' | 'q4', signal: AbortSignal): Promise<string> =>
  driftNote(await measureDrift(spec, source, quantization, { signal }), stored);

/** Loads with packed weights where some are kept, and keeps those that were packed now. */
function withCachedWeights(
  files: OpenedModel,
  choice: EngineChoice,
  quantization: Quantization,
  output: Output,
  signal: AbortSignal,
  load: (source: WeightSource) => Promise<Engine>,
): Promise<Engine> {
  const describe = (): Promise<string> => (drifts(files, quantization) ? drifted(files, quantization, signal) : Promise.resolve(''));
  return loadWithPacked(
    (anew) => openCachedWeights(files, quantization, choice.weightCache, describe, signal, anew),
    load,
    (text) => output.note(text),
  );
}

/** What `auto` takes, and why not the GPU. A software adapter is none. */
async function automatic(): Promise<{ readonly engine: PlanEngine; readonly missing: string | null }> {
  const room = await adapterRoom(null);
  if ('missing' in room) return { engine: 'onnx', missing: room.missing };
  return room.kind === 'software'
    ? { engine: 'onnx', missing: `only the software driver ${room.name}` }
    : { engine: 'webgpu', missing: null };
}

/** Lanes that memory is counted for where nobody said how many. */
const COUNTED_LANES = 2;
/** As the engines' own. */
const DEFAULT_CONTEXT = 4096;

/** Refuses what cannot fit before it is read. @throws model/too-large */
async function refuseWithoutRoom(
  files: OpenedModel,
  { precision }: EngineChoice,
  quantization: Quantization,
  context: number | null,
  engine: EngineChoice['engine'],
): Promise<void> {
  if (engine !== 'webgpu' && engine !== 'onnx') return;
  const adapter = engine === 'webgpu' ? await adapterRoom(null) : null;
  const room = engine === 'onnx' ? hostRoom() : adapter === null || 'missing' in adapter ? null : adapter;
  if (room === null) return;
  const stored = files.source.tensors;
  const counted = { engine, quantization, precision, context: context ?? DEFAULT_CONTEXT, lanes: COUNTED_LANES, stored };
  refuseTooLarge(files.name, files.spec, counted, room);
}

// Engines are loaded when they are needed: Dawn and ONNX Runtime are 40 MB each.

async function webGpu(files: OpenedModel, options: LoadOptions, output: Output): Promise<Engine> {
  const { createWebGpuEngine } = await import('../src/engine/webgpu/index.ts');
  const { nodeWebGpuHost } = await import('./webgpu-host.ts');
  const { tuningFile } = await import('./tuning-file.ts');
  const host: WebGpuHost = { ...(await nodeWebGpuHost()), adapterOptions, tuning: tuningFile() };
  const engine = await createWebGpuEngine(files.spec, files.source, host, options);
  const { kind, name } = engine.model.adapter;
  if (kind === 'software') output.note(`no GPU: WebGPU runs on the software driver ${name}; --engine onnx is faster`);
  return engine;
}

async function onnx(files: OpenedModel, options: LoadOptions, use: 'measure' | 'write'): Promise<Engine> {
  const { createOnnxEngine } = await import('../src/engine/onnx/index.ts');
  const { nodeOnnxRuntime } = await import('./onnx-host.ts');
  return createOnnxEngine(files.spec, files.source, await nodeOnnxRuntime(), {
    ...options,
    ...(use === 'measure' && options.precision === 'auto' ? { precision: 'f32' as const } : {}),
  });
}

async function remote(
  files: OpenedModel,
  place: RunnerPlace,
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<Engine> {
  const { createRemoteEngine } = await import('../src/engine/remote/remote-engine.ts');
  const { nodeNetwork } = await import('./node-network.ts');
  return createRemoteEngine({ ...place, ...nodeNetwork, model: files.name, onProgress, signal });
}

async function reference(files: OpenedModel, options: LoadOptions): Promise<Engine> {
  const { createReferenceEngine } = await import('../src/engine/reference/index.ts');
  return createReferenceEngine(files.spec, files.source, options);
}

/** What every result says about how it came to be. */
export function engineDocument(engine: Engine, files: ModelFiles): Record<string, unknown> {
  const { family, layers, heads, kvHeads, headDim, hidden, intermediate, vocab, quantization, precision, identity, adapter } = engine.model;
  return {
    model: { name: files.name, family, layers, heads, kvHeads, headDim, hidden, intermediate, vocab, quantization, precision, identity },
    engine: engine.model.engine,
    ...(engine.model.runner === undefined ? {} : { runner: engine.model.runner }),
    adapter: adapter.name,
    notes: files.notes,
  };
}
