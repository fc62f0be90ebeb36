import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AnswerScore, ScoredQuestion } from './choices.ts';
import { resampling } from './estimate.ts';
import { choiceEstimates, choiceMetricsOf } from './multiple-choice.ts';

interface Golden {
  readonly scores_true: number[];
  readonly scores_false: number[];
  readonly best: number;
  readonly mc1: number;
  readonly mc2: number;
  readonly mc3: number;
}
const file = new URL('../../test/goldens/stats/stats.json', import.meta.url);
const { mc, mc_mean } = JSON.parse(readFileSync(file, 'utf8')) as { mc: Golden[]; mc_mean: Omit<Golden, 'best'> };

const score = (sum: number, tokens = 1): AnswerScore => ({ sum, mean: sum / tokens, tokens });
const scores = fc.array(fc.double({ min: -80, max: -0.01, noNaN: true }), { minLength: 1, maxLength: 6 });

describe('MC1, MC2 and MC3', () => {
  it.each(mc)('golden question %#', (golden) => {
    const got = choiceMetricsOf(golden.scores_true, golden.scores_false, golden.best);
    expect(got.mc1).toBe(golden.mc1);
    expect(got.mc2).toBeCloseTo(golden.mc2, 9);
    expect(got.mc3).toBeCloseTo(golden.mc3, 9);
  });

  it('the goldens together', () => {
    const questions = mc.map(({ scores_true, scores_false, best }, i): ScoredQuestion => ({
      group: String(i),
      best,
      right: scores_true.map((sum) => score(sum)),
      wrong: scores_false.map((sum) => score(sum)),
    }));
    const { sum } = choiceEstimates(questions, questions, resampling(1, 200));
    for (const metric of ['mc1', 'mc2', 'mc3'] as const) {
      expect(sum[metric].value.value).toBeCloseTo(mc_mean[metric], 9);
      expect(sum[metric].value.units).toBe(mc.length);
      expect(sum[metric].gain).toEqual({ value: 0, interval: [0, 0], units: mc.length });
      const [low, high] = sum[metric].value.interval;
      expect(low).toBeLessThan(mc_mean[metric]);
      expect(high).toBeGreaterThan(mc_mean[metric]);
    }
  });

  it('by hand', () => {
    const got = choiceMetricsOf([-2, -3], [-2.5, -4], 0);
    expect(got).toEqual({ mc1: 1, mc2: expect.closeTo(0.6484, 4) as number, mc3: 0.5 });
  });

  it('a tie is no win', () => {
    expect(choiceMetricsOf([-1, -1], [-1], 0)).toMatchObject({ mc1: 0, mc3: 0 });
  });

  it('do not underflow', () => {
    const got = choiceMetricsOf([-3000], [-3001], 0);
    expect(got.mc2).toBeCloseTo(1 / (1 + Math.exp(-1)), 12);
  });

  it('lie in [0, 1], ignore a common shift, and MC2 of exchanged sides sums to 1', () => {
    fc.assert(
      fc.property(scores, scores, fc.nat(5), fc.double({ min: -500, max: 0, noNaN: true }), (right, wrong, pick, shift) => {
        const best = pick % right.length;
        const got = choiceMetricsOf(right, wrong, best);
        for (const value of Object.values(got)) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1 + 1e-12);
        }
        const moved = choiceMetricsOf(right.map((x) => x + shift), wrong.map((x) => x + shift), best); // prettier-ignore
        expect(moved.mc2).toBeCloseTo(got.mc2, 8);
        expect(got.mc2 + choiceMetricsOf(wrong, right, 0).mc2).toBeCloseTo(1, 9);
      }),
    );
  });

  it('per token, long answers are not punished for their length', () => {
    const question: ScoredQuestion = { group: 'q', best: 0, right: [score(-12, 12)], wrong: [score(-4, 2)] };
    const { sum, mean } = choiceEstimates([question], [question], resampling(0, 10));
    expect(sum.mc1.value.value).toBe(0);
    expect(mean.mc1.value.value).toBe(1);
  });
});
