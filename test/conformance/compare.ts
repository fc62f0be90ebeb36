import { expect } from 'vitest';
import type { Engine, GenerateRequest, GenerateSummary, LaneStep, SequenceScore } from '../../src/engine/engine.ts';

/** Every value within `abs + rel * |expected|`; a value that is no number never is. Says where the worst one is. */
export function expectClose(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: { abs: number; rel?: number },
  what: string,
): void {
  expect(got.length, `${what}: length`).toBe(expected.length);
  let worst = 0;
  let at = -1;
  for (let i = 0; i < got.length; i++) {
    const excess = Math.abs(got[i] - expected[i]) - (tolerance.rel ?? 0) * Math.abs(expected[i]);
    if (Number.isNaN(excess) || excess > worst) {
      worst = excess;
      at = i;
      if (Number.isNaN(excess)) break;
    }
  }
  if (worst <= tolerance.abs) return;
  expect.fail(`${what}: value ${at} of ${got.length} is ${got[at]}, expected ${expected[at]} (off by ${worst}, allowed ${tolerance.abs})`);
}

/** The same bits, value by value. -0 and 0 differ. */
export function expectIdentical(got: Float32Array, expected: Float32Array, what: string): void {
  expect(got.length, `${what}: length`).toBe(expected.length);
  const at = got.findIndex((value, i) => !Object.is(value, expected[i]));
  if (at >= 0) expect.fail(`${what}: value ${at} of ${got.length} is ${got[at]}, expected exactly ${expected[at]}`);
}

export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i] - b[i]));
  return worst;
}

/** Natural-log softmax of one row, in f64. */
export function logSoftmax(logits: Float32Array): Float64Array {
  const max = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - max);
  const z = max + Math.log(sum);
  return Float64Array.from(logits, (value) => value - z);
}

export interface Generated {
  /** By lane. */
  readonly tokens: readonly (readonly number[])[];
  readonly logprobs: readonly (readonly number[])[];
  readonly summary: GenerateSummary;
}

/** Runs a request to its end. */
export async function generated(engine: Engine, request: GenerateRequest): Promise<Generated> {
  const lanes: LaneStep[][] = [];
  const run = engine.generate(request);
  for (let index = 0; ; index++) {
    const next = await run.next();
    if (next.done) {
      return {
        tokens: lanes.map((steps) => steps.map((step) => step.token)),
        logprobs: lanes.map((steps) => steps.map((step) => step.logprob)),
        summary: next.value,
      };
    }
    expect(next.value.index).toBe(index);
    next.value.lanes.forEach((step, lane) => {
      lanes[lane] ??= [];
      if (step) lanes[lane].push(step);
    });
  }
}

/** Logits of a score that asked for them. */
export function logitsOf(score: SequenceScore): Float32Array {
  if (!score.logits) throw new Error('no logits');
  return score.logits;
}
