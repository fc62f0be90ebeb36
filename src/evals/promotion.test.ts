import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { promotion, type PairScores } from './promotion.ts';

const control: PairScores = { wanted: [-1, -2], unwanted: [-3, -4] };
const less: PairScores = { wanted: [-1.5, -2.5], unwanted: [-3.5, -4.5] };

const scores = fc.array(fc.tuple(fc.double({ min: -50, max: -0.01, noNaN: true }), fc.double({ min: -50, max: -0.01, noNaN: true })), {
  minLength: 1,
  maxLength: 12,
});
const pairs = (rows: readonly (readonly [number, number])[]): PairScores => ({
  wanted: rows.map(([wanted]) => wanted),
  unwanted: rows.map(([, unwanted]) => unwanted),
});

describe('promotion', () => {
  it('is spurious under the own normaliser where every item is equally less likely', () => {
    const rows = promotion(control, less, 'own');
    expect(rows.map(({ promote, suppress }) => [promote, suppress].map((x) => x && Number(x.toFixed(4))))).toEqual([
      [null, null],
      [0.3333, -0.6667],
      [0.3333, -0.6667],
      [0.1667, -0.8333],
    ]);
  });

  it('is what happened under a fixed normaliser', () => {
    for (const { promote, suppress } of promotion(control, less, 'control').slice(1)) {
      expect(promote).toBeCloseTo(-0.5, 12);
      expect(suppress).toBeCloseTo(0.5, 12);
    }
    expect(promotion(control, less, 'none').at(-1)).toMatchObject({ promote: -0.5, suppress: 0.5 });
  });

  it('is null, not NaN, where a share holds no item', () => {
    expect(promotion(control, less, 'none')[0]).toEqual({ share: 0.25, promote: null, suppress: null });
  });

  it('is 0 where nothing changes, whatever the normaliser', () => {
    fc.assert(
      fc.property(scores, fc.constantFrom('own', 'control', 'none'), (rows, normalizer) => {
        const same = pairs(rows);
        for (const { promote, suppress } of promotion(same, same, normalizer)) {
          expect(promote ?? 0).toBe(0);
          expect(Math.abs(suppress ?? 0)).toBe(0);
        }
      }),
    );
  });

  it('of the whole without a normaliser is the change of the means', () => {
    fc.assert(
      fc.property(scores, (rows) => {
        const before = pairs(rows);
        const after = pairs(rows.map(([a, b]) => [a - 1, b + 0.25] as const));
        const all = promotion(before, after, 'none')[3];
        expect(all.promote).toBeCloseTo(-1, 9);
        expect(all.suppress).toBeCloseTo(-0.25, 9);
      }),
    );
  });
});
