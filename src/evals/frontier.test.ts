import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cliff, paretoFrontier, recommend, type CliffPoint, type Tradeoff } from './frontier.ts';

const point = (gain: number, kl: number, spread = 0.1): Tradeoff => ({
  gain: { value: gain, interval: [gain - spread, gain + spread] },
  kl,
});
const unedited = point(0, 0, 0);
const some = fc.array(
  fc.tuple(fc.double({ min: -3, max: 3, noNaN: true }), fc.double({ min: 0, max: 2, noNaN: true })).map(([gain, kl]) => point(gain, kl)),
  { maxLength: 12 },
);

describe('the frontier', () => {
  it('holds exactly the points that none beats', () => {
    fc.assert(
      fc.property(some, (points) => {
        const all = [unedited, ...points];
        const frontier = paretoFrontier(all);
        const beats = (a: Tradeoff, b: Tradeoff): boolean =>
          a.gain.value >= b.gain.value && a.kl <= b.kl && (a.gain.value > b.gain.value || a.kl < b.kl);
        all.forEach((one, index) => {
          if (frontier.includes(index)) expect(all.some((other) => beats(other, one))).toBe(false);
          else {
            const equal = (other: number): boolean => all[other].gain.value === one.gain.value && all[other].kl === one.kl;
            expect(frontier.some((other) => beats(all[other], one) || equal(other))).toBe(true);
          }
        });
        const costs = frontier.map((index) => all[index].kl);
        expect(costs).toEqual([...costs].sort((a, b) => a - b));
      }),
    );
  });
});

describe('the recommendation', () => {
  it('is the knee', () => {
    const points = [unedited, point(0.5, 0.01), point(0.9, 0.03), point(1, 0.1), point(5, 0.9)];
    expect(recommend(points, 0.2)).toMatchObject({ index: 2, reason: expect.stringContaining('knee') as string });
  });

  it('is the last point where gain grows as fast as cost', () => {
    expect(recommend([unedited, point(0.5, 0.05), point(1, 0.1)], 0.2).index).toBe(2);
    expect(recommend([unedited, point(0.3, 0.05), point(1, 0.1)], 0.2).index).toBe(2);
  });

  it('is the unedited model where no gain is proven or everything costs too much', () => {
    expect(recommend([unedited], 1).index).toBe(0);
    expect(recommend([unedited, point(0.05, 0.01)], 1)).toMatchObject({ index: 0, reason: expect.stringContaining('interval') as string });
    expect(recommend([unedited, point(2, 0.5)], 0.1)).toMatchObject({ index: 0, reason: expect.stringContaining('costs more') as string });
    expect(recommend([unedited, point(-2, 0.01)], 0.1).index).toBe(0);
  });

  it('takes a proven point that an unproven one beats', () => {
    expect(recommend([unedited, point(0.5, 0.02, 0.1), point(0.6, 0.01, 0.9)], 0.1).index).toBe(1);
  });

  it('never exceeds the budget and always has a proven gain', () => {
    fc.assert(
      fc.property(some, fc.double({ min: 0, max: 2, noNaN: true }), (points, budget) => {
        const all = [unedited, ...points];
        const { index } = recommend(all, budget);
        if (index === 0) return;
        expect(all[index].kl).toBeLessThanOrEqual(budget);
        expect(all[index].gain.interval[0]).toBeGreaterThan(0);
      }),
    );
  });
});

describe('the cliff', () => {
  const at = (strength: number, kl: number, crossEntropyRise = 0, looping: number | null = null): CliffPoint => ({
    strength,
    kl,
    crossEntropyRise,
    looping,
  });

  it('is the first strength at which the text falls apart', () => {
    expect(cliff([at(3, 4), at(1, 0.1), at(2, 1.2)], null)).toBe(2);
    expect(cliff([at(1, 0.1), at(2, 0.5, 1.5)], null)).toBe(2);
    expect(cliff([at(-1, 0.1, 0, 0.1), at(-2, 0.2, 0, 0.6)], 0.1)).toBe(-2);
  });

  it('is null where it does not', () => {
    expect(cliff([at(1, 0.1), at(2, 0.9)], null)).toBeNull();
    expect(cliff([], null)).toBeNull();
  });
});
