import { describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import { createOnnxEngine } from '../../src/engine/onnx/index.ts';
import type { KernelHost } from '../../src/engine/onnx/kernels/products.ts';
import { wasmRuntime, type OnnxWeb } from '../../src/engine/onnx/wasm-runtime.ts';
import type { LoadOptions } from '../../src/engine/options.ts';
import { createReferenceEngine } from '../../src/engine/reference/index.ts';
import { createWebGpuEngine } from '../../src/engine/webgpu/index.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import type { WeightSource } from '../../src/model/weights.ts';
import { nodeOnnxRuntime } from '../../runner/onnx-host.ts';
import { nodeKernels } from '../kernel-threads.ts';
import type { TestDevice } from '../devices.ts';
import type { DeviceKind } from '../vulkan.ts';

/** How close an engine must come to the goldens. */
export interface Accuracy {
  /** Factor on the tolerances of case.json: 1 for f32 engines, which is what they were measured for. */
  readonly factor: number;
  /** Added to the tolerances of logits and values, as a multiple of how far half-rounded weights move the logits. 0 for f32. */
  readonly half: number;
  /**
   * How far one computation may be off from itself when it is batched or cut another way, in log-probabilities and values of order one:
   * 0 where every row is computed by itself in one order, else what another order of summation does.
   */
  readonly order: number;
}

export const plain: Accuracy = { factor: 1, half: 0, order: 0 };

/** One row of the conformance suite. */
export interface EngineUnderTest {
  readonly name: string;
  readonly accuracy: Accuracy;
  open(spec: ModelSpec, source: WeightSource, options?: Partial<LoadOptions>): Promise<Engine>;
  /** Why this row cannot run here. */
  readonly skip?: string;
  /** What of the suites this row runs; everything where absent. */
  readonly scope?: Scope;
}

/** A stated subset, for devices on which everything would take too long. `null` means all. */
export interface Scope {
  readonly reason: string;
  readonly goldens: readonly string[] | null;
  readonly cases: readonly string[] | null;
  /** Prompts continued greedily in each case; cases take turns, so that all prompts are continued. */
  readonly prompts: number;
  /** Models, and the suites `sampling` and `requests`. */
  readonly invariants: readonly string[] | null;
  readonly trained: readonly string[] | null;
}

const onePrompt = {
  reason: 'a software driver, one prompt a case',
  goldens: null,
  cases: null,
  prompts: 1,
  invariants: null,
  trained: null,
};
const scopes = {
  hardware: { f32: undefined, f16: undefined },
  lavapipe: {
    f32: onePrompt,
    // llvmpipe takes minutes to compile the f16 kernels and emulates what they compute.
    f16: {
      reason: 'half precision is emulated in software',
      goldens: ['llama_gqa_tied'],
      cases: ['iti_heads', 'everything', 'zero_strength'],
      prompts: 1,
      invariants: [],
      trained: [],
    },
  },
  swiftshader: {
    f32: { ...onePrompt, reason: 'a slow software driver', invariants: ['llama_gqa_tied'], trained: ['real_stories260K'] },
    f16: { reason: 'half precision is emulated in software', goldens: [], cases: [], prompts: 0, invariants: [], trained: [] },
  },
} satisfies Record<DeviceKind, Record<'f32' | 'f16', Scope | undefined>>;

/** Shows what a row leaves out, and gives whether a name of one of its lists is in. */
export function inScope(engine: EngineUnderTest, list: 'goldens' | 'cases' | 'invariants' | 'trained'): (name: string) => boolean {
  const chosen = engine.scope?.[list] ?? null;
  if (chosen === null) return () => true;
  if (list !== 'cases') it.skip(`${list} other than ${chosen.join(', ') || 'none'}: ${engine.scope?.reason}`);
  return (name) => chosen.includes(name);
}

/** A clock for engines under test: real time, because loops give way by it. */
export const now = (): number => performance.now();

export const referenceEngine: EngineUnderTest = {
  name: 'reference',
  accuracy: plain,
  open: (spec, source, options = {}) => createReferenceEngine(spec, source, { now, ...options }),
};

/** f32 on the CPU: ONNX Runtime sums in another order for one row than for several. */
const cpu: Accuracy = { factor: 1, half: 0, order: 5e-5 };

/**
 * Quantised weights with int8 activations: each is rounded by up to 1/254 of the largest in its block of 32, where half precision rounds
 * by 1/2048 of itself. It adds to a product what int8 weights do, 0.5 % of its size; logits of these narrow models move by up to 0.25.
 */
const cpuInt8: Accuracy = { factor: 1, half: 30, order: 5e-2 };

/** ONNX Runtime in Node, on one thread: the models of the suites are too small for two. */
const onnxRow = (name: string, accuracy: Accuracy, precision: 'f32' | 'auto', scope?: Scope): EngineUnderTest => ({
  name,
  accuracy,
  open: async (spec, source, options = {}) =>
    createOnnxEngine(spec, source, await nodeOnnxRuntime(), { now, threads: 1, precision, ...options }),
  ...(scope ? { scope } : {}),
});

export const onnxEngine = onnxRow('onnx f32 on the CPU', cpu, 'f32');
const quantizedGoldens: Scope = {
  reason: 'weights are quantised in one model only',
  goldens: ['llama_quantized'],
  cases: null,
  prompts: 1,
  invariants: [],
  trained: [],
};
export const onnxInt8Engine = onnxRow('onnx with int8 activations on the CPU', cpuInt8, 'auto', quantizedGoldens);

/**
 * Our own kernels for quantised weights, as a page has them for models that are too large to be expanded; here in Node, with what ONNX
 * Runtime is for everything else.
 */
const kernelRow = (name: string, kernels: () => KernelHost): EngineUnderTest => ({
  name,
  accuracy: cpuInt8,
  open: async (spec, source, options = {}) =>
    createOnnxEngine(spec, source, { ...(await nodeOnnxRuntime()), kernels: kernels() }, { now, threads: 1, ...options }),
  scope: quantizedGoldens,
});

export const kernelEngines = [
  kernelRow('own kernels with relaxed SIMD', () => nodeKernels(2)),
  kernelRow('own kernels without relaxed SIMD', () => nodeKernels(1, false)),
];

/** WebAssembly, as a page without WebGPU has it; here in Node. */
export const onnxWasmEngine = (ort: OnnxWeb): EngineUnderTest => ({
  name: 'onnx in WebAssembly',
  accuracy: cpu,
  open: (spec, source, options = {}) => createOnnxEngine(spec, source, wasmRuntime(ort), { now, ...options }),
  scope: {
    reason: 'the same engine runs everything in Node; what differs is how a cache is extended and how quantised weights are kept',
    goldens: ['llama_gqa_tied', 'mistral_window', 'gemma3', 'llama_quantized'],
    cases: ['iti_heads', 'everything', 'zero_strength'],
    prompts: 1,
    invariants: ['mistral_window'],
    trained: ['real_stories260K'],
  },
});

/** f32 on a GPU: another order of summation for another number of rows. */
const gpu: Accuracy = { factor: 1, half: 0, order: 5e-5 };
/** f16 products and f16 weights: a few times what half-rounded weights do by themselves. */
const gpuHalf: Accuracy = { factor: 1, half: 6, order: 2e-2 };

/** The engine on one device: in f32, and in f16 where the device can. */
export async function webGpuEngines({ name, kind, host, skip }: TestDevice): Promise<EngineUnderTest[]> {
  const row = (precision: 'f32' | 'f16', accuracy: Accuracy, missing: string | null): EngineUnderTest => ({
    name: `webgpu ${precision} on ${name}`,
    accuracy,
    open: (spec, source, options = {}) => {
      if (!host) throw new Error(`no device: ${skip}`);
      return createWebGpuEngine(spec, source, host, { now, precision, ...options });
    },
    ...(missing === null ? {} : { skip: missing }),
    scope: scopes[kind][precision],
  });
  const adapter = await host?.gpu.requestAdapter(host.adapterOptions);
  const half = adapter?.features.has('shader-f16') ? null : 'this device has no half precision arithmetic';
  return [row('f32', gpu, skip), row('f16', gpuHalf, skip ?? half)];
}

/**
 * Runs suites on every row that can run, and shows the others as skipped. A run in which no row can is a failure: it proves nothing.
 * TILLER_NO_GPU_TESTS=1 says that this is known.
 */
export function describeRows(rows: readonly EngineUnderTest[], suites: (engine: EngineUnderTest) => void): void {
  for (const row of rows) {
    if (row.skip === undefined) describe(row.name, () => suites(row));
    else it.skip(`${row.name}: ${row.skip}`);
  }
  it('has at least one device to run on', () => {
    const running = rows.filter((row) => row.skip === undefined);
    if (running.length === 0 && process.env.TILLER_NO_GPU_TESTS === '1') {
      console.warn('TILLER_NO_GPU_TESTS=1: NO GPU ENGINE WAS TESTED.', rows.map((row) => `${row.name}: ${row.skip}`).join('; '));
      return;
    }
    expect(running.length, rows.map((row) => `${row.name}: ${row.skip}`).join('; ')).toBeGreaterThan(0);
  });
}
