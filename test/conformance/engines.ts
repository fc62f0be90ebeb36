import { describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import type { LoadOptions } from '../../src/engine/options.ts';
import { createReferenceEngine } from '../../src/engine/reference/index.ts';
import { createWebGpuEngine } from '../../src/engine/webgpu/index.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import type { WeightSource } from '../../src/model/weights.ts';
import type { TestDevice } from '../devices.ts';

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
  /** Why this row runs one model of the goldens and no invariants here. */
  readonly reduced?: string;
}

/** A clock for engines under test: real time, because loops give way by it. */
export const now = (): number => performance.now();

export const referenceEngine: EngineUnderTest = {
  name: 'reference',
  accuracy: plain,
  open: (spec, source, options = {}) => createReferenceEngine(spec, source, { now, ...options }),
};

/** f32 on a GPU: another order of summation for another number of rows. */
const gpu: Accuracy = { factor: 1, half: 0, order: 5e-5 };
/** f16 products and f16 weights: a few times what half-rounded weights do by themselves. */
const gpuHalf: Accuracy = { factor: 1, half: 6, order: 2e-2 };

/** The engine on one device: in f32, and in f16 where the device can. */
export async function webGpuEngines({ name, kind, host, skip }: TestDevice): Promise<EngineUnderTest[]> {
  // llvmpipe takes minutes to compile the f16 kernels and computes them in f32 anyway.
  const emulated = kind === 'hardware' ? null : 'half precision is emulated in software';
  const row = (precision: 'f32' | 'f16', accuracy: Accuracy, missing: string | null, reduced: string | null): EngineUnderTest => ({
    name: `webgpu ${precision} on ${name}`,
    accuracy,
    open: (spec, source, options = {}) => {
      if (!host) throw new Error(`no device: ${skip}`);
      return createWebGpuEngine(spec, source, host, { now, precision, ...options });
    },
    ...(missing === null ? {} : { skip: missing }),
    ...(reduced === null ? {} : { reduced }),
  });
  const adapter = await host?.gpu.requestAdapter(host.adapterOptions);
  const half = adapter?.features.has('shader-f16') ? null : 'this device has no half precision arithmetic';
  return [row('f32', gpu, skip, null), row('f16', gpuHalf, skip ?? half, emulated)];
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
