import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readStatsGolden } from '../../test/goldens/stats/read.ts';
import { logisticRegression } from './logistic.ts';
import { normal, seededRandom } from './random.ts';

const { golden: goldens, tensor } = readStatsGolden();

describe('logistic regression', () => {
  it.each(goldens.logistic.map((golden, index) => [index, golden] as const))('reaches the optimum of golden %i', (index, golden) => {
    const { d, n_train: train, n_val: validation, C } = golden;
    const features = new Float32Array(tensor(`logistic.${index}.X`));
    const labels = new Int32Array(tensor(`logistic.${index}.y`));
    const rows = Array.from({ length: train }, (_, row) => row);
    const fit = logisticRegression({ features, width: d, labels, rows, C });
    expect(fit.converged).toBe(true);
    // Theirs is the loss plus |weights|^2 / 2C.
    expect(Math.abs(fit.objective / C / golden.objective - 1)).toBeLessThan(1e-12);
    new Float64Array(tensor(`logistic.${index}.coef`)).forEach((weight, i) => expect(fit.weights[i]).toBeCloseTo(weight, 9));
    expect(fit.intercept).toBeCloseTo(new Float64Array(tensor(`logistic.${index}.intercept`))[0], 9);
    const share = (from: number, to: number): number => {
      let right = 0;
      for (let row = from; row < to; row++) {
        const z = fit.weights.reduce((sum, weight, i) => sum + weight * features[row * d + i], fit.intercept);
        if (z > 0 === (labels[row] === 1)) right++;
      }
      return right / (to - from);
    };
    expect(share(0, train)).toBeCloseTo(golden.train_accuracy, 12);
    expect(share(train, train + validation)).toBeCloseTo(golden.val_accuracy, 12);
  });

  const problem = fc
    .record({
      rows: fc.integer({ min: 2, max: 24 }),
      width: fc.integer({ min: 1, max: 40 }),
      seed: fc.nat(),
      C: fc.constantFrom(0.01, 1, 100),
      scale: fc.constantFrom(0, 1e-3, 1, 30, 1e4),
      offset: fc.constantFrom(0, 1, 100),
    })
    .map(({ rows, width, seed, C, scale, offset }) => {
      const random = seededRandom(seed);
      const labels = Array.from({ length: rows }, (_, i) => (i < 2 ? i : Math.round(random())));
      const features = Float32Array.from(
        { length: rows * width },
        (_, i) => scale * (normal(random) + labels[Math.floor(i / width)] + offset),
      );
      return { rows, width, labels, features, C };
    });

  it('has no gradient left at its end, whatever the shape and scale of the data', () => {
    fc.assert(
      fc.property(problem, ({ rows, width, labels, features, C }) => {
        const fit = logisticRegression({ features, width, labels, C });
        expect(fit.converged).toBe(true);
        const gradient = Array.from(fit.weights);
        let intercept = 0;
        let size = 1;
        for (let row = 0; row < rows; row++) {
          let z = fit.intercept;
          for (let i = 0; i < width; i++) z += features[row * width + i] * fit.weights[i];
          const residual = C * (1 / (1 + Math.exp(-z)) - labels[row]);
          intercept += residual;
          for (let i = 0; i < width; i++) {
            gradient[i] += residual * features[row * width + i];
            size = Math.max(size, Math.abs(C * features[row * width + i]));
          }
        }
        for (const value of [...gradient, intercept]) expect(Math.abs(value)).toBeLessThan(1e-8 * size * rows);
      }),
      { numRuns: 150 },
    );
  });

  it('turns its signs with the labels, and does not mind the order of rows', () => {
    fc.assert(
      fc.property(problem, ({ rows, width, labels, features, C }) => {
        const fit = logisticRegression({ features, width, labels, C });
        const turned = logisticRegression({ features, width, labels: labels.map((label) => 1 - label), C });
        const backwards = logisticRegression({ features, width, labels, C, rows: Array.from({ length: rows }, (_, i) => rows - 1 - i) });
        const scale = 1e-7 * Math.max(...fit.weights.map(Math.abs), 1e-3);
        fit.weights.forEach((weight, i) => {
          expect(Math.abs(turned.weights[i] + weight)).toBeLessThan(scale);
          expect(Math.abs(backwards.weights[i] - weight)).toBeLessThan(scale);
        });
      }),
      { numRuns: 60 },
    );
  });

  it('reads columns of wider rows, and gives constant features no weight', () => {
    const features = Float32Array.of(9, 5, 1, 9, 5, 2, 9, 5, 4, 9, 5, 3);
    const labels = [0, 0, 1, 1];
    const fit = logisticRegression({ features, stride: 3, start: 1, width: 2, labels });
    const alone = logisticRegression({ features: Float32Array.of(1, 2, 4, 3), width: 1, labels });
    expect(fit.weights[0]).toBe(0);
    expect(fit.weights[1]).toBeCloseTo(alone.weights[0], 12);
    expect(fit.intercept).toBeCloseTo(alone.intercept, 12);
  });

  it.each([
    ['one class', [1, 2, 3], 1, [1, 1, 1], 'stats/one-class'],
    ['no rows', [], 1, [], 'stats/rows'],
    ['a label that is neither', [1, 2], 1, [0, 2], 'stats/argument'],
    ['a feature that is no number', [1, NaN], 1, [0, 1], 'stats/not-finite'],
    ['an infinite feature', [1, Infinity], 1, [0, 1], 'stats/not-finite'],
    ['sizes that do not agree', [1, 2, 3], 2, [0, 1], 'stats/argument'],
  ])('refuses %s', (_, features, width, labels, code) => {
    expect(() => logisticRegression({ features: Float32Array.from(features), width, labels })).toThrow(expect.objectContaining({ code }));
  });
});
