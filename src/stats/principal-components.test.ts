import { describe, expect, it } from 'vitest';
import { principalComponents } from './principal-components.ts';
import { normal, seededRandom } from './random.ts';

const dot = (a: Float64Array, b: ArrayLike<number>): number => a.reduce((sum, value, i) => sum + value * b[i], 0);

describe('principal components', () => {
  // Both sides of the size above which only the wanted end of the spectrum is found.
  it.each([
    [5, 30],
    [40, 6],
    [90, 150],
    [200, 150],
    [150, 260],
    [400, 200],
  ])('of %i rows of %i numbers are orthonormal eigenvectors, by falling variance', (rows, width) => {
    const random = seededRandom(rows);
    const data = Float64Array.from({ length: rows * width }, (_, i) => 5 + (3 / (1 + (i % width))) * normal(random));
    const { directions, count, explained, variances, mean } = principalComponents(data, rows, width, 3);
    expect(count).toBe(3);
    const centred = data.map((value, i) => value - mean[i % width]);
    const row = (r: number): Float64Array => centred.subarray(r * width, r * width + width);
    const total = dot(centred, centred) / rows;
    for (let k = 0; k < count; k++) {
      const direction = directions.subarray(k * width, k * width + width);
      for (let j = 0; j < count; j++)
        expect(dot(direction, directions.subarray(j * width, j * width + width))).toBeCloseTo(j === k ? 1 : 0, 9);
      const covariance = new Float64Array(width);
      for (let r = 0; r < rows; r++) {
        const along = dot(direction, row(r)) / rows;
        row(r).forEach((value, i) => (covariance[i] += along * value));
      }
      covariance.forEach((value, i) => expect(value).toBeCloseTo(variances[k] * direction[i], 8));
      expect(explained[k]).toBeCloseTo(variances[k] / total, 10);
      if (k > 0) expect(variances[k]).toBeLessThanOrEqual(variances[k - 1]);
    }
  });

  it('find all of the variance when all are asked for', () => {
    const random = seededRandom(2);
    const data = Float32Array.from({ length: 30 * 7 }, () => normal(random));
    const { count, explained } = principalComponents(data, 30, 7, 7);
    expect(count).toBe(7);
    expect(explained.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
  });

  it('find a planted direction, and nothing in rows that do not vary', () => {
    const random = seededRandom(1);
    const planted = Float64Array.from({ length: 300 }, (_, i) => Math.sin(i + 1));
    const length = Math.sqrt(dot(planted, planted));
    const data = new Float64Array(200 * 300);
    for (let r = 0; r < 200; r++) {
      const along = 10 * normal(random);
      for (let i = 0; i < 300; i++) data[r * 300 + i] = (planted[i] / length) * along + 0.01 * normal(random);
    }
    expect(Math.abs(dot(planted, principalComponents(data, 200, 300, 1).directions)) / length).toBeCloseTo(1, 4);
    expect(principalComponents(new Float64Array(24).fill(3), 3, 8, 2).count).toBe(0);
    expect(principalComponents(Float64Array.of(1, 2, 3, 2, 4, 6), 2, 3, 3, false).count).toBe(1);
    expect(principalComponents(Float64Array.of(1, 2, 3), 1, 3, 1).count).toBe(0);
    expect(principalComponents(Float64Array.of(1, 2, 3), 1, 3, 1, false).explained[0]).toBeCloseTo(1, 12);
  });

  it('refuse what has none', () => {
    const thrown = (code: string): unknown => expect.objectContaining({ code });
    expect(() => principalComponents(new Float32Array(0), 0, 3, 1)).toThrow(thrown('stats/rows'));
    expect(() => principalComponents(new Float32Array(5), 2, 3, 1)).toThrow(thrown('stats/argument'));
    expect(() => principalComponents(Float32Array.of(1, NaN), 2, 1, 1)).toThrow(thrown('stats/not-finite'));
  });
});
