import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frontierGeometry } from './frontier-geometry.ts';
import { sweepPoint } from './test-points.ts';

const points = [sweepPoint(0, 4, 0, 0), sweepPoint(1, 4, 0.5, 0.02), sweepPoint(2, 4, 0.8, 0.1), sweepPoint(8, 4, -0.4, 5)];

describe('frontier geometry', () => {
  it('starts at no cost, goes up with gain and right with cost', () => {
    const { box, marks, budget, order } = frontierGeometry(points, [0, 1, 2], 0.1, 400, 300);
    expect(marks[0].px).toBe(box.left);
    expect(marks[2].py).toBeLessThan(marks[1].py);
    expect(marks[2].px).toBeGreaterThan(marks[1].px);
    expect(budget).toBeCloseTo(marks[2].px);
    expect(order).toEqual([0, 1, 2, 3]);
  });

  it('joins the points of the frontier only', () => {
    const { path, marks } = frontierGeometry(points, [0, 1], 0.1, 400, 300);
    expect(path).toBe(`M${marks[0].px},${marks[0].py}L${marks[1].px},${marks[1].py}`);
    expect(frontierGeometry([], [], 0.1, 400, 300).path).toBe('');
  });

  it('keeps points and error bars in the box, whatever was measured', () => {
    const point = fc.tuple(fc.double({ min: -5, max: 5, noNaN: true }), fc.double({ min: 0, max: 50, noNaN: true }));
    fc.assert(
      fc.property(fc.array(point, { minLength: 1 }), fc.double({ min: 0, max: 1, noNaN: true }), (rows, budget) => {
        const { box, marks } = frontierGeometry(rows.map(([gain, kl], i) => sweepPoint(i, 1, gain, kl)), [], budget, 420, 300); // prettier-ignore
        for (const { px, py, x, y } of marks) {
          for (const value of [px, ...x]) expect(value >= box.left - 0.01 && value <= box.right + 0.01).toBe(true);
          for (const value of [py, ...y]) expect(value >= box.top - 0.01 && value <= box.bottom + 0.01).toBe(true);
        }
      }),
    );
  });
});
