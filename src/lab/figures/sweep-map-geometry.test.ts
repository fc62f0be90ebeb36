import { describe, expect, it } from 'vitest';
import { sweepPoint } from './test-points.ts';
import { gainReach, sweepCells, sweepMapGeometry } from './sweep-map-geometry.ts';

const points = [sweepPoint(0, 4, 0, 0), sweepPoint(2, 4, 0.5, 0.2), sweepPoint(0.5, 4, 0.1, 0.01), sweepPoint(-1, 8, -0.7, 0.3)];

describe('sweep map geometry', () => {
  it('has a column for every strength but 0 and a row for every number of places', () => {
    const { strengths, counts, x, y, width } = sweepMapGeometry(points, 400);
    expect(strengths).toEqual([-1, 0.5, 2]);
    expect(counts).toEqual([4, 8]);
    expect(x(-1)).toBeLessThan(x(2) as number);
    expect(y(8)).toBeLessThan(y(4) as number);
    expect(width).toBeLessThanOrEqual(400);
  });

  it('leaves the unedited point out, and measures colour by the largest gain or loss', () => {
    expect(sweepCells(points)).toHaveLength(3);
    expect(gainReach(points)).toBe(0.7);
    expect(gainReach([])).toBe(0);
  });

  it('stands without points', () => expect(sweepMapGeometry([], 300).strengths).toEqual([]));
});
