import { TillerError } from '../../errors/error.ts';
import { pointNames, pointWidth } from '../../graph/points.ts';
import { ropeTable } from '../../model/rope.ts';
import type { ModelSpec } from '../../model/spec.ts';
import type { WeightSource } from '../../model/weights.ts';
import type { ModelInfo } from '../engine.ts';
import type { LoadOptions } from '../options.ts';
import { throwIfAborted } from '../request.ts';
import { cacheBytesPerToken, KvCache, type CacheFormat } from './cache.ts';
import { Core } from './core.ts';
import { DeviceHealth, openDevice, type OpenDevice } from './device.ts';
import { attentionVariant, ATTENTION_SPAN, embedVariant, gatedVariant, residVariant, ropeVariant, type ForwardModel } from './forward.ts';
import { EditBuffers } from './graph-run.ts';
import type { WebGpuHost } from './host.ts';
import { Matmul, type Arithmetic } from './matmul.ts';
import { allocating, Memory } from './memory.ts';
import { loadWeights, weightFormats } from './model-weights.ts';
import { Params } from './params.ts';
import { Pipelines, variantKey, type KernelVariant } from './pipelines.ts';
import { Recorder } from './recorder.ts';
import { samplerKernels } from './sampler.ts';
import { activationBytes, paddedWidths, Scratch } from './scratch.ts';
import { tune } from './tune.ts';
import type { WeightFormat } from './weights.ts';

const DEFAULT_CONTEXT = 4096;
const MAX_LANES = 32;
const MIN_CHUNK_ROWS = 16;
const MAX_CHUNK_ROWS = 128;
/** Longest that one submit should run on a slow device, in milliseconds: well under what watchdogs and desktops bear. */
const SUBMIT_MS = 60;
/** Longest that one call of a prefill should take, in milliseconds: Stop is served in between. */
const CALL_MS = 1000;
/** head_dim that the attention kernel has room for. */
const MAX_HEAD_DIM = 256;

interface Precision {
  readonly projections: Arithmetic;
  readonly down: Arithmetic;
  readonly head: Arithmetic;
  readonly cache: CacheFormat;
}

const narrow = (formats: ReadonlySet<WeightFormat>): boolean => [...formats].every((format) => format !== 'f32' && format !== 'bf16');

/**
 * Which arithmetic runs. Weights stored in f32 or bf16 are computed in f32: rounding them to f16 would be a change of the
 * model that nobody asked for. Software adapters emulate f16 and take two to three times as long, so there it must be asked
 * for. Gemma's MLP activations pass f16's range, so its down_proj stays f32 on both paths.
 */
function choosePrecision(
  asked: 'auto' | 'f32' | 'f16',
  open: OpenDevice,
  software: boolean,
  spec: ModelSpec,
  formats: { readonly projections: ReadonlySet<WeightFormat>; readonly tables: ReadonlySet<WeightFormat> },
): Precision {
  if (asked === 'f16' && !open.f16) {
    throw new TillerError('device/limits', { limit: 'the feature shader-f16', got: 'absent', needed: 'present for precision f16' });
  }
  const half = asked === 'f16' || (asked === 'auto' && open.f16 && !software);
  const projections: Arithmetic = half && narrow(formats.projections) ? 'f16' : 'f32';
  return {
    projections,
    down: spec.sandwichNorm ? 'f32' : projections,
    head: half && narrow(formats.tables) ? 'f16' : 'f32',
    cache: asked === 'f32' || formats.projections.has('f32') ? 'f32' : 'f16',
  };
}

/**
 * Kernels to compile at load. On software adapters, where one takes up to seconds, only those that every run needs: the others
 * are compiled when a request first uses them.
 */
function forwardVariants(spec: ModelSpec, precision: Precision, tables: ReadonlySet<WeightFormat>, software: boolean): KernelVariant[] {
  const post = spec.sandwichNorm;
  const always = [
    ...[...tables].map((format) => embedVariant(format)),
    residVariant(false, false, true),
    residVariant(true, post, true),
    ropeVariant(spec, precision.cache, spec.headNorm, true),
    attentionVariant(spec, precision.cache, 1, software),
    samplerKernels.greedy,
  ];
  if (software) return always;
  return [
    ...always,
    residVariant(true, post, false),
    ...(spec.headNorm ? [ropeVariant(spec, precision.cache, true, false), ropeVariant(spec, precision.cache, false, true)] : []),
    attentionVariant(spec, precision.cache, ATTENTION_SPAN, software),
    gatedVariant(spec, true, true),
    gatedVariant(spec, true, false),
    gatedVariant(spec, false, true),
    { shader: 'edit' },
    { shader: 'copy_rows' },
    { shader: 'cache_copy', includes: { kv: `kv_${precision.cache}` } },
    ...Object.values(samplerKernels),
  ];
}

function checkShape(spec: ModelSpec): void {
  if (spec.headDim > MAX_HEAD_DIM || spec.headDim % 2 !== 0) {
    throw new TillerError('device/limits', {
      limit: 'head_dim of the attention kernel',
      got: `even, at most ${MAX_HEAD_DIM}`,
      needed: spec.headDim,
    });
  }
}

/** Opens a device, measures it, compiles kernels while weights stream in, and puts the parts of an engine together. */
export async function loadCore(spec: ModelSpec, source: WeightSource, host: WebGpuHost, options: LoadOptions): Promise<Core> {
  throwIfAborted(options.signal);
  checkShape(spec);
  const quantization = options.quantization ?? 'none';
  const storage = { quantization, halves: options.precision === 'f16' };
  const formats = weightFormats(spec, source, storage);
  const asked = options.maxContext ?? DEFAULT_CONTEXT;
  if (!Number.isInteger(asked) || asked < 1) {
    throw new TillerError('request/invalid', { problem: `maxContext must be a whole number of at least 1, got ${asked}` });
  }
  const maxContext = Math.min(spec.maxPositions, asked);

  const open = await openDevice(host);
  const { device } = open;
  const health = new DeviceHealth(device);
  const software = open.adapter.kind === 'software';
  try {
    const precision = choosePrecision(options.precision ?? 'auto', open, software, spec, formats);
    const pipelines = new Pipelines(device, host.shader);
    const [format] = formats.projections;
    const tuning = await tune({
      device,
      health,
      pipelines,
      subgroups: open.subgroups,
      software,
      format,
      arithmetic: precision.projections,
      adapter: open.adapter.name,
      store: host.tuning,
      now: options.now,
    });
    throwIfAborted(options.signal);

    const memory = new Memory(device);
    const params = new Params(memory);
    const budget = tuning.rate * (SUBMIT_MS / 1000);
    const matmul = new Matmul(params, tuning.choice, software, budget);
    const kinds = [
      ...[...formats.projections].flatMap((one) =>
        [...new Set([precision.projections, precision.down])].map((arithmetic) => ({ format: one, arithmetic, activation: null })),
      ),
      ...[...formats.projections].map((one) => ({ format: one, arithmetic: precision.projections, activation: spec.activation })),
      ...[...formats.tables].map((one) => ({ format: one, arithmetic: precision.head, activation: null })),
    ];
    const variants = new Map(
      [...forwardVariants(spec, precision, formats.tables, software), ...matmul.variants(kinds)].map((one) => [variantKey(one), one]),
    );

    const weights = await allocating(
      device,
      'the weights of the model',
      () => formats.bytes,
      async () => {
        const [loaded] = await Promise.all([
          loadWeights({
            memory,
            spec,
            source,
            storage,
            onProgress: (done, total) => options.onProgress?.({ stage: 'upload', done, total, unit: 'bytes' }),
            signal: options.signal,
          }),
          pipelines.prepare([...variants.values()], (done, total) =>
            options.onProgress?.({ stage: 'compile', done, total, unit: 'kernels' }),
          ),
        ]);
        await health.wait(device.queue.onSubmittedWorkDone());
        return loaded;
      },
    );
    throwIfAborted(options.signal);
    const weightBytes = memory.bytes;

    const recorder = new Recorder(device, pipelines, health);
    recorder.budget = budget;
    const replaced = (): void => recorder.forget();
    const cache = new KvCache(memory, spec, precision.cache, replaced);
    const model: ForwardModel = {
      spec,
      weights,
      params,
      matmul,
      cache,
      software,
      call: memory.make('call', 16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST),
      rope: ropeBuffers(memory, spec, maxContext),
      arithmetic: precision,
    };
    const rowCost = weights.layers
      .flatMap((layer) => [layer.qkv, layer.o, layer.gateUp, layer.down])
      .reduce((sum, m) => sum + m.n * m.k, 0);
    const rowsInTime = (tuning.rate * (CALL_MS / 1000)) / rowCost;
    const chunkRows = Math.max(MIN_CHUNK_ROWS, Math.min(MAX_CHUNK_ROWS, Math.floor(rowsInTime / 8) * 8));
    const info = describe(spec, source, open, {
      quantization,
      precision: precision.projections,
      maxContext,
      memory: {
        weights: weightBytes,
        cachePerToken: cacheBytesPerToken(spec, precision.cache),
        scratch: chunkRows * activationBytes(spec) + 8 * paddedWidths(spec).vocab * 4,
      },
      kernels: [
        `products: ${precision.projections}, sums f32; keys and values ${precision.cache}; weights ${[...formats.projections].join(', ')}, tables ${[...formats.tables].join(', ')}`,
        ...tuning.lines.map((line) => `matrix-vector product, ${line}`),
        `prefill ${chunkRows} rows a call`,
      ],
    });
    return new Core(
      device,
      health,
      memory,
      recorder,
      new Scratch(memory, spec, replaced),
      new EditBuffers(memory, replaced),
      model,
      info,
      chunkRows,
      options.now,
    );
  } catch (error) {
    health.close();
    device.destroy();
    throw error;
  }
}

/** One table for each distinct kind of layer. */
function ropeBuffers(memory: Memory, spec: ModelSpec, positions: number): GPUBuffer[] {
  const known = new Map<string, GPUBuffer>();
  return spec.layerSpecs.map(({ rope }) => {
    const key = JSON.stringify(rope);
    let buffer = known.get(key);
    if (!buffer) {
      const { cos, sin } = ropeTable(rope, spec.headDim, positions);
      const pairs = new Float32Array(cos.length * 2);
      for (let i = 0; i < cos.length; i += 1) {
        pairs[2 * i] = cos[i];
        pairs[2 * i + 1] = sin[i];
      }
      buffer = memory.storage('rotary table', pairs.byteLength);
      memory.device.queue.writeBuffer(buffer, 0, pairs);
      known.set(key, buffer);
    }
    return buffer;
  });
}

function describe(
  spec: ModelSpec,
  source: WeightSource,
  open: OpenDevice,
  found: Pick<ModelInfo, 'quantization' | 'precision' | 'memory' | 'kernels'> & { maxContext: number },
): ModelInfo {
  const { family, layers, heads, kvHeads, headDim, hidden, intermediate, vocab, maxPositions, eosIds } = spec;
  return {
    family,
    layers,
    heads,
    kvHeads,
    headDim,
    hidden,
    intermediate,
    engine: 'webgpu',
    vocab,
    maxPositions,
    points: pointNames.map((point) => ({ point, width: pointWidth(point, spec, vocab) })),
    quantization: found.quantization,
    precision: found.precision,
    subgroups: open.subgroups,
    adapter: open.adapter,
    limits: { maxContext: found.maxContext, maxLanes: MAX_LANES },
    memory: found.memory,
    identity: source.identity,
    eosIds,
    selfTest: null,
    kernels: found.kernels,
  };
}
