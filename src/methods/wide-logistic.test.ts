import { describe, expect, it } from 'vitest';
import { noise, stream } from '../../test/methods/planted.ts';
import { logisticRegression } from '../stats/logistic.ts';
import { wideLogistic } from './wide-logistic.ts';

function problem(rows: number, width: number, scale: (column: number) => number, separable = false) {
  const random = stream(rows * 1000 + width);
  const stride = width + 3;
  const data = Float32Array.from({ length: rows * stride }, (_, i) => scale(i % stride) * noise(random) + 5);
  const labels = Uint8Array.from({ length: rows }, (_, row) => {
    const value = (data[row * stride + 2] - 5) / scale(2);
    return value + (separable ? 0 : noise(random)) > 0 ? 1 : 0;
  });
  const chosen = Array.from({ length: rows }, (_, row) => row).filter((row) => row % 5 !== 0);
  return { data, stride, labels, chosen };
}

describe('logistic regression of many features', () => {
  it.each([
    ['more rows than features', 90, 20, () => 1, 1],
    ['more features than rows', 40, 120, () => 1, 1],
    ['features of very different size', 80, 30, (column: number) => 10 ** ((column % 5) - 2), 1],
    ['a weak penalty', 60, 25, () => 1, 1000],
    ['a strong penalty', 60, 25, () => 1, 0.001],
  ] as const)('reaches the same optimum as the plain solver: %s', (_, rows, width, scale, C) => {
    const { data, stride, labels, chosen } = problem(rows, width, scale);
    const expected = logisticRegression({ features: data, width, stride, start: 2, labels, rows: chosen, C });
    const { weights, converged } = wideLogistic({ slice: { data, stride, start: 2, width }, rows: chosen, labels, C });
    expect(converged).toBe(true);
    const size = Math.hypot(...expected.weights);
    weights.forEach((value, i) => expect(Math.abs(value - expected.weights[i]) / size).toBeLessThan(1e-5));
  });

  it('separable classes have a finite optimum', () => {
    const { data, stride, labels, chosen } = problem(50, 10, () => 1, true);
    expect(wideLogistic({ slice: { data, stride, start: 2, width: 10 }, rows: chosen, labels, C: 1 }).converged).toBe(true);
  });

  it('stops when told to', () => {
    const { data, stride, labels, chosen } = problem(50, 10, () => 1);
    expect(() =>
      wideLogistic({ slice: { data, stride, start: 2, width: 10 }, rows: chosen, labels, C: 1, signal: AbortSignal.abort() }),
    ).toThrow('Stopped');
  });
});
