import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readStatsGolden } from '../../test/goldens/stats/read.ts';
import { bootstrap, bootstrapDifference, bootstrapMean } from './bootstrap.ts';
import { pearson } from './correlation.ts';
import { cosine } from './cosine.ts';
import { logSumExp, softmax } from './log-sum-exp.ts';
import { mean, standardDeviation } from './moments.ts';
import { quantile } from './quantile.ts';
import { normal, sample, seededRandom, shuffle } from './random.ts';
import { rocCurve } from './roc.ts';
import { bestThreshold } from './threshold.ts';
import { wilsonInterval } from './wilson.ts';

const code = (name: string): unknown => expect.objectContaining({ code: name });
const numbers = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 40 });
const labelled = fc.array(fc.record({ value: fc.integer({ min: -5, max: 5 }), label: fc.constantFrom(0, 1) }), {
  minLength: 1,
  maxLength: 30,
});
const bothClasses = labelled.filter((rows) => new Set(rows.map(({ label }) => label)).size === 2);

describe('random numbers', () => {
  it('are the same for a seed, others for another, and go on from a state', () => {
    const first = seededRandom(1);
    const draws = Array.from({ length: 100 }, first);
    expect(Array.from({ length: 100 }, seededRandom(1))).toEqual(draws);
    expect(Array.from({ length: 100 }, seededRandom(2))).not.toEqual(draws);
    expect(seededRandom(1 + 2 ** 40)()).not.toBe(draws[0]);
    const resumed = seededRandom(first.state());
    expect(Array.from({ length: 10 }, resumed)).toEqual(Array.from({ length: 10 }, first));
  });

  it('are uniform: moments and bins as chance allows', () => {
    const draws = Array.from({ length: 100_000 }, seededRandom(7));
    expect(mean(draws)).toBeCloseTo(0.5, 2);
    expect(standardDeviation(draws, 0)).toBeCloseTo(Math.sqrt(1 / 12), 2);
    const bins = new Array<number>(16).fill(0);
    for (const value of draws) bins[Math.floor(value * 16)] += 1;
    expect(bins.reduce((sum, count) => sum + (count - 6250) ** 2 / 6250, 0)).toBeLessThan(37.7);
    expect(Math.abs(pearson(draws.slice(1), draws.slice(0, -1)) ?? 1)).toBeLessThan(0.01);
    expect(Math.min(...Array.from({ length: 1000 }, (_, seed) => seededRandom(seed)()))).toBeLessThan(0.01);
  });

  it('are normal where asked', () => {
    const random = seededRandom(3);
    const draws = Array.from({ length: 50_000 }, () => normal(random));
    expect(mean(draws)).toBeCloseTo(0, 1);
    expect(standardDeviation(draws, 0)).toBeCloseTo(1, 1);
    expect(draws.filter((value) => Math.abs(value) < 1.96).length / 50_000).toBeCloseTo(0.95, 2);
  });

  it('shuffle keeps every item, a sample repeats none', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer()), fc.nat(), fc.nat(50), (items, seed, count) => {
        expect([...shuffle(items, seededRandom(seed))].sort()).toEqual([...items].sort());
        const taken = sample(items, count, seededRandom(seed));
        expect(new Set(taken).size).toBe(Math.min(count, items.length));
        expect(taken.every((item) => items.includes(item))).toBe(true);
      }),
    );
  });
});

describe('intervals', () => {
  // scipy.stats.binomtest(8, 10).proportion_ci(method="wilson"), and of (0, 10).
  it('of shares are those of Wilson', () => {
    expect(wilsonInterval(8, 10)[0]).toBeCloseTo(0.4901624715366418, 10);
    expect(wilsonInterval(8, 10)[1]).toBeCloseTo(0.9433178485456247, 10);
    expect(wilsonInterval(0, 10)).toEqual([0, expect.closeTo(0.2775327998628892, 10)]);
    expect(wilsonInterval(10, 10)).toEqual([expect.closeTo(1 - 0.2775327998628892, 10), 1]);
    expect(() => wilsonInterval(0, 0)).toThrow(code('stats/argument'));
  });

  it('of a mean hold it and shrink with the root of the units', () => {
    const random = seededRandom(5);
    const width = (units: number): number => {
      const values = Array.from({ length: units }, () => normal(random));
      const { value, low, high, resamples } = bootstrapMean(values, { random, resamples: 1000 });
      expect(value).toBeCloseTo(mean(values), 12);
      expect(low < value && value < high).toBe(true);
      expect(resamples).toBe(1000);
      return high - low;
    };
    expect(width(400)).toBeCloseTo((2 * 1.96) / 20, 1);
    expect(width(400) / width(6400)).toBeCloseTo(4, 0);
  });

  it('of a difference forget what both sides share', () => {
    const random = seededRandom(6);
    const base = Array.from({ length: 50 }, () => 100 * normal(random));
    const difference = bootstrapDifference(
      base.map((value) => value + 1),
      base,
      { random },
    );
    expect(difference.low).toBeCloseTo(1, 9);
    expect(difference.high).toBeCloseTo(1, 9);
  });

  it('count resamples in which the statistic is not defined', () => {
    const found = bootstrap(3, (units) => (units.includes(0) ? 1 : NaN), { random: seededRandom(1), resamples: 900 });
    expect(found.resamples + found.undefinedResamples).toBe(900);
    expect(found.undefinedResamples / 900).toBeCloseTo(8 / 27, 1);
    expect(() => bootstrapMean([], { random: seededRandom(1) })).toThrow(code('stats/rows'));
    expect(() => bootstrap(3, () => NaN, { random: seededRandom(1) })).toThrow(code('stats/argument'));
  });
});

describe('summaries', () => {
  it("quantiles are NumPy's", () => {
    expect(quantile([3, 1, 2, 10], 0.25)).toBeCloseTo(1.75, 12);
    expect(quantile([3, 1, 2, 10], 0.9)).toBeCloseTo(7.9, 12);
    expect(() => quantile([], 0.5)).toThrow(code('stats/rows'));
    fc.assert(
      fc.property(numbers, (values) => {
        // Sorting leaves 0 and -0 as they come; adding 0 makes both one.
        expect(quantile(values, 0) + 0).toBe(Math.min(...values) + 0);
        expect(quantile(values, 1) + 0).toBe(Math.max(...values) + 0);
        expect(quantile(values, 0.3)).toBeLessThanOrEqual(quantile(values, 0.7));
      }),
    );
  });

  it('divide by n - ddof', () => {
    expect(standardDeviation([1, 2, 3, 4], 0)).toBeCloseTo(Math.sqrt(1.25), 14);
    expect(standardDeviation([1, 2, 3, 4], 1)).toBeCloseTo(Math.sqrt(5 / 3), 14);
    expect(standardDeviation([5], 0)).toBe(0);
    expect(() => standardDeviation([5], 1)).toThrow(code('stats/rows'));
  });

  it("correlation is that of the goldens, and not defined for what doesn't vary", () => {
    for (const { x, y, r } of readStatsGolden().golden.pearson) expect(pearson(x, y)).toBeCloseTo(r, 11);
    expect(pearson([1, 1], [1, 2])).toBeNull();
    expect(() => pearson([1], [1, 2])).toThrow(code('stats/argument'));
  });

  it('correlation and cosine do not depend on scale', () => {
    fc.assert(
      fc.property(numbers, fc.double({ min: 0.1, max: 10, noNaN: true }), (values, factor) => {
        if (standardDeviation(values, 1) > 1e-3)
          expect(
            pearson(
              values,
              values.map((value) => factor * value + 3),
            ),
          ).toBeCloseTo(1, 6);
        const turned = values.map((value) => -factor * value);
        if (values.some((value) => Math.abs(value) > 1e-3)) expect(cosine(values, turned)).toBeCloseTo(-1, 9);
      }),
    );
    expect(cosine([0, 0], [1, 2])).toBe(0);
    expect(cosine([1, 0], [0, 2])).toBe(0);
  });

  it('log-sum-exp neither overflows nor underflows', () => {
    expect(logSumExp([-1000, -1000])).toBeCloseTo(-1000 + Math.LN2, 10);
    expect(logSumExp([1000, 0])).toBe(1000);
    expect(logSumExp([])).toBe(-Infinity);
    expect([...softmax([1000, 1000, -Infinity])]).toEqual([0.5, 0.5, 0]);
  });
});

describe('telling classes apart', () => {
  it('the area under the curve is the share of pairs in order, ties counted half', () => {
    fc.assert(
      fc.property(bothClasses, (rows) => {
        const values = rows.map((row) => row.value);
        const labels = rows.map((row) => row.label);
        const ones = values.filter((_, i) => labels[i] === 1);
        const zeros = values.filter((_, i) => labels[i] === 0);
        const { auc, points } = rocCurve(values, labels);
        let pairs = 0;
        for (const one of ones) for (const zero of zeros) pairs += one > zero ? 1 : one === zero ? 0.5 : 0;
        expect(auc).toBeCloseTo(pairs / (ones.length * zeros.length), 12);
        expect(points[0]).toEqual({ threshold: Infinity, falsePositiveRate: 0, truePositiveRate: 0 });
        expect(points.at(-1)).toEqual({ threshold: Math.min(...values), falsePositiveRate: 1, truePositiveRate: 1 });
        expect(points).toHaveLength(1 + new Set(values).size);
      }),
    );
    expect(() => rocCurve([1, 2], [1, 1])).toThrow(code('stats/one-class'));
    expect(() => rocCurve([1, NaN], [1, 0])).toThrow(code('stats/argument'));
  });

  it.each(['f1', 'accuracy'] as const)('no threshold beats the best by %s', (goal) => {
    fc.assert(
      fc.property(bothClasses, (rows) => {
        const judge = (threshold: number, above: boolean) => {
          const open = rows.filter((row) => (above ? row.value > threshold : row.value < threshold));
          const hit = open.filter((row) => row.label === 1).length;
          const wanted = rows.filter((row) => row.label === 1).length;
          return {
            f1: (2 * hit) / (open.length + wanted),
            accuracy: (hit + rows.length - open.length - (wanted - hit)) / rows.length,
          };
        };
        const best = bestThreshold(
          rows.map((row) => row.value),
          rows.map((row) => row.label),
          goal,
        );
        expect(judge(best.threshold, best.above)).toEqual({ f1: best.f1, accuracy: best.accuracy });
        for (let at = -5.5; at <= 5.5; at += 0.5)
          for (const above of [true, false]) expect(judge(at, above)[goal]).toBeLessThanOrEqual(best[goal]);
      }),
    );
    expect(() => bestThreshold([1], [1])).toThrow(code('stats/one-class'));
  });
});
