import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { distinct, longestRepeat, loopPeriod, repetitionOf } from './repetition.ts';

const ids = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 24 });

/** The definition, plainly. */
function naiveLongest(text: readonly number[]): number {
  for (let n = text.length - 1; n > 0; n -= 1) {
    const seen = new Set<string>();
    for (let i = 0; i + n <= text.length; i += 1) {
      const gram = text.slice(i, i + n).join();
      if (seen.has(gram)) return n;
      seen.add(gram);
    }
  }
  return 0;
}

describe('repetition', () => {
  it('counts different n-grams', () => {
    expect(distinct([1, 2, 1, 2], 1)).toBe(0.5);
    expect(distinct([1, 2, 1, 2], 2)).toBeCloseTo(2 / 3);
    expect(distinct([1, 2], 3)).toBeNull();
  });

  it('finds the longest repeat', () => {
    fc.assert(
      fc.property(ids, (text) => {
        expect(longestRepeat(text)).toBe(naiveLongest(text));
      }),
    );
  });

  it('finds loops at the end', () => {
    expect(loopPeriod([9, 8, 1, 2, 1, 2, 1, 2])).toBe(2);
    expect(loopPeriod([1, 2, 1, 2, 1, 2, 9])).toBeNull();
    // Three equal tokens are an ellipsis, six are a loop.
    expect(loopPeriod([4, 5, 6, 7, 7, 7])).toBeNull();
    expect(loopPeriod([4, 7, 7, 7, 7, 7, 7])).toBe(1);
  });

  it('a text repeated three times ends in a loop whose period divides into it', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5), { minLength: 2, maxLength: 6 }), fc.array(fc.nat(5), { maxLength: 6 }), (unit, before) => {
        const period = loopPeriod([...before, ...unit, ...unit, ...unit]);
        expect(period).not.toBeNull();
        expect(period ?? Infinity).toBeLessThanOrEqual(unit.length);
      }),
    );
  });

  it('of nothing is nothing', () => {
    expect(repetitionOf([])).toEqual({ distinct1: null, distinct2: null, distinct3: null, longestRepeat: 0, loops: false });
  });
});
