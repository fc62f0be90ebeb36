import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { axisTicks, costX, extentOf, linearX, linearY, plotBox } from './plot-box.ts';

const finite = fc.double({ min: -1e6, max: 1e6, noNaN: true });

describe('the box of a plot', () => {
  it('holds every value strictly inside its extent', () => {
    fc.assert(
      fc.property(fc.array(finite, { minLength: 1 }), (values) => {
        const [least, most] = extentOf(values);
        for (const value of values) {
          expect(value).toBeGreaterThanOrEqual(least);
          expect(value).toBeLessThanOrEqual(most);
        }
        expect(most).toBeGreaterThan(least);
      }),
    );
  });

  it('does not fail without values', () => {
    expect(extentOf([])).toEqual([0, 1]);
    expect(extentOf([NaN, Infinity])).toEqual([0, 1]);
  });

  it('puts axes at its edges, the y axis upwards', () => {
    const box = plotBox(400, 300);
    expect(linearX(box, [0, 1])(0)).toBe(box.left);
    expect(linearY(box, [0, 1])(1)).toBe(box.top);
  });

  it('has 0 on the axis of costs, keeps their order and room between ticks', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 100, noNaN: true }), fc.integer({ min: 200, max: 900 }), (most, width) => {
        const box = plotBox(width, 300);
        const x = costX(box, most, 0.05);
        expect(x(0)).toBeCloseTo(box.left);
        expect(x(most)).toBeCloseTo(box.right);
        expect(x(most / 2)).toBeGreaterThan(x(most / 4));
        const at = axisTicks(x, 60).map((tick) => x(tick));
        for (let i = 1; i < at.length; i++) expect(at[i] - at[i - 1]).toBeGreaterThanOrEqual(36 - 1e-6);
      }),
    );
  });
});
