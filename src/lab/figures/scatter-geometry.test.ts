import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scatterGeometry, type ScatterPoint } from './scatter-geometry.ts';

const finite = fc.double({ min: -1e4, max: 1e4, noNaN: true });
const points = fc.array(fc.record({ x: finite, y: finite, label: fc.constantFrom(0 as const, 1 as const), part: fc.constant('train' as const), text: fc.string() })); // prettier-ignore

describe('scatter geometry', () => {
  it('keeps every point in the box and one unit as long on both axes', () => {
    fc.assert(
      fc.property(points, fc.integer({ min: 200, max: 800 }), (list: ScatterPoint[], width) => {
        const { box, x, y, marks, order } = scatterGeometry(list, width, 300);
        for (const { px, py } of marks) {
          expect(px >= box.left - 1e-6 && px <= box.right + 1e-6).toBe(true);
          expect(py >= box.top - 1e-6 && py <= box.bottom + 1e-6).toBe(true);
        }
        const [unitX, unitY] = [x(1) - x(0), y(0) - y(1)];
        // Far from zero and close together, a unit is known to as many digits as are left.
        expect(unitX / unitY).toBeCloseTo(1, 3);
        expect([...order].sort((a, b) => a - b)).toEqual(list.map((_, i) => i));
      }),
    );
  });
});
