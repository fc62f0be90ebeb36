import { describe, expect, it } from 'vitest';
import { shiftCurves } from './shift-curves-geometry.ts';

describe('curves of two runs', () => {
  it('stay in the box, whatever the lengths', () => {
    const { box, paths } = shiftCurves([[0, 1, 4], [2]], 400, 200);
    const numbers =
      paths
        .join(' ')
        .match(/-?\d+(\.\d+)?/g)
        ?.map(Number) ?? [];
    expect(paths[0].startsWith(`M${box.left},${box.bottom}`)).toBe(true);
    for (let i = 0; i < numbers.length; i += 2) {
      expect(numbers[i]).toBeGreaterThanOrEqual(box.left);
      expect(numbers[i]).toBeLessThanOrEqual(box.right);
      expect(numbers[i + 1]).toBeGreaterThanOrEqual(box.top);
      expect(numbers[i + 1]).toBeLessThanOrEqual(box.bottom);
    }
  });

  it('are empty without tokens', () => {
    expect(shiftCurves([[], []], 400, 200).paths).toEqual(['', '']);
  });
});
