import { describe, expect, it } from 'vitest';
import { loadGoldenModel } from '../../../test/conformance/golden.ts';
import type { OnnxRuntime } from './runtime.ts';
import { measureThreads } from './threads.ts';

const { spec } = loadGoldenModel('llama_gqa_tied');

/** A runtime whose products take the time that a test says, on a clock of its own. */
function timed(maxThreads: number, cost: (threads: number, rows: number) => number): { runtime: OnnxRuntime; now: () => number } {
  let time = 0;
  const create = (_model: unknown, options: { intraOpNumThreads: number }): unknown => ({
    run: ({ x }: { x: { dims: readonly number[] } }) => {
      time += cost(options.intraOpNumThreads, x.dims[0]);
      return Promise.resolve({});
    },
    release: () => Promise.resolve(),
  });
  const tensor = class {
    constructor(
      readonly type: string,
      readonly data: Float32Array,
      readonly dims: readonly number[],
    ) {}
  };
  const runtime = {
    name: 'timed',
    InferenceSession: { create },
    Tensor: tensor,
    fillsOutputs: true,
    maxThreads,
    expandsWeights: false,
  } as unknown as OnnxRuntime;
  return { runtime, now: () => time };
}

const choose = async (maxThreads: number, cost: (threads: number, rows: number) => number): Promise<number> => {
  const { runtime, now } = timed(maxThreads, cost);
  return (await measureThreads(runtime, spec, 'none', 0, now)).count;
};

describe('the number of threads', () => {
  it('is as many as help', async () => {
    expect(await choose(6, (threads, rows) => rows / threads)).toBe(6);
    expect(await choose(8, (threads, rows) => rows / Math.min(threads, 4) + threads / 100)).toBe(4);
  });

  it('is one where more are slower, and where there are no more', async () => {
    expect(await choose(2, (threads, rows) => rows * threads)).toBe(1);
    expect(await choose(1, () => 1)).toBe(1);
  });

  it('weighs one row at a time against many: a request of 128 tokens asks for 64', async () => {
    expect(await choose(2, (threads, rows) => (rows === 1 ? 1 + 4 * (threads - 1) : 64 / threads))).toBe(1);
    expect(await choose(2, (threads, rows) => (rows === 1 ? 1 + 0.2 * (threads - 1) : 64 / threads))).toBe(2);
  });

  it('goes by the usual time, not by the best', async () => {
    let calls = 0;
    const cost = (threads: number): number => (threads === 1 ? 2 : ++calls % 7 === 0 ? 1 : 9);
    expect(await choose(2, cost)).toBe(1);
  });
});
