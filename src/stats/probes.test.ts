import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readStatsGolden } from '../../test/goldens/stats/read.ts';
import { logisticRegression } from './logistic.ts';
import { plainKernels, probeLayout, wasmKernels } from './probe-kernels.ts';
import { fitProbes, type ProbeProblem, type Probes } from './probes.ts';
import { normal, seededRandom } from './random.ts';

interface Shape {
  readonly rows: number;
  readonly heads: number;
  readonly headDim: number;
  readonly seeds: number;
  readonly seed: number;
  /** Distance of the classes in the last head; the first has none. */
  readonly apart: number;
  readonly scale: number;
  readonly offset: number;
}

/** Rows of which a tenth is in no mask. */
function made({ rows, heads, headDim, seeds, seed, apart, scale, offset }: Shape): ProbeProblem {
  const random = seededRandom(seed);
  const labels = Uint8Array.from({ length: rows }, (_, i) => (i < 4 ? i % 2 : Math.round(random())));
  const width = heads * headDim;
  const directions = Float64Array.from({ length: width }, () => normal(random));
  const features = Float32Array.from({ length: rows * width }, (_, i) => {
    const column = i % width;
    const head = Math.floor(column / headDim);
    const side = labels[Math.floor(i / width)] === 1 ? 1 : -1;
    return scale * (normal(random) + ((apart * (head + 1)) / heads) * side * directions[column] + offset);
  });
  const used = Uint8Array.from({ length: rows }, (_, i) => (i < 4 || random() < 0.9 ? 1 : 0));
  const train = Array.from({ length: seeds }, () => used.map((one, i) => (one && (i < 4 || random() < 0.7) ? 1 : 0)));
  const validation = train.map((mask) => mask.map((one, i) => (used[i] && !one ? 1 : 0)));
  return { features, heads, headDim, labels, train, validation };
}

/**
 * Largest difference from the Newton solver, by the largest coefficient of each fit. Weights that move no margin by a thousandth are what
 * cancellation left; they are compared by the thousandth that they could move.
 */
function worstDifference(problem: ProbeProblem, probes: Probes): number {
  const { features, heads, headDim, labels, train, C } = problem;
  let worst = 0;
  train.forEach((mask, seed) => {
    const rows = Array.from(mask, (_, row) => row).filter((row) => mask[row]);
    for (let head = 0; head < heads; head++) {
      const expected = logisticRegression({ features, width: headDim, stride: heads * headDim, start: head * headDim, labels, rows, C });
      const reach = features.reduce(
        (most, value, i) => (Math.floor((i % (heads * headDim)) / headDim) === head ? Math.max(most, Math.abs(value)) : most),
        1e-9,
      );
      const size = expected.weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 1e-3 / reach);
      const at = seed * heads + head;
      expected.weights.forEach((weight, k) => {
        worst = Math.max(worst, Math.abs(weight - probes.weights[at * headDim + k]) / size);
      });
      // The intercept takes back what the weights make of the features' means.
      const moved = expected.weights.reduce((sum, weight, k) => sum + Math.abs(weight * features[head * headDim + k]), 1);
      worst = Math.max(worst, Math.abs(expected.intercept - probes.intercepts[at]) / moved);
    }
  });
  return worst;
}

const shapes = fc.record({
  rows: fc.integer({ min: 8, max: 300 }),
  heads: fc.integer({ min: 1, max: 3 }),
  headDim: fc.integer({ min: 1, max: 20 }),
  seeds: fc.integer({ min: 1, max: 7 }),
  seed: fc.nat(),
  apart: fc.constantFrom(0, 0.3, 3),
  scale: fc.constantFrom(1e-3, 1, 50),
  offset: fc.constantFrom(0, 1, 20),
});
const shape: Shape = { rows: 200, heads: 4, headDim: 9, seeds: 3, seed: 1, apart: 0.5, scale: 1, offset: 0 };

describe('probes of many heads', () => {
  it('are those of the goldens', async () => {
    const { golden, tensor } = readStatsGolden();
    const { layers, heads, head_dim: headDim, n_train: trained, n_val: validated } = golden.heads;
    const rows = trained + validated;
    const labels = new Int32Array(tensor('heads.y'));
    const probes = await fitProbes({
      features: new Float32Array(tensor('heads.X')),
      heads: layers * heads,
      headDim,
      labels,
      train: [Uint8Array.from({ length: rows }, (_, row) => (row < trained ? 1 : 0))],
      validation: [Uint8Array.from({ length: rows }, (_, row) => (row < trained ? 0 : 1))],
    });
    expect(probes.converged.every((one) => one === 1)).toBe(true);
    new Float64Array(tensor('heads.coef')).forEach((weight, i) => expect(probes.weights[i]).toBeCloseTo(weight, 6));
    new Float64Array(tensor('heads.intercept')).forEach((value, i) => expect(probes.intercepts[i]).toBeCloseTo(value, 6));
    const accuracy = (right: Uint32Array, count: Uint32Array): number[] => Array.from(right, (value) => value / count[0]);
    expect(accuracy(probes.trainRight, probes.trainRows)).toEqual([...new Float64Array(tensor('heads.train_accuracy'))]);
    expect(accuracy(probes.validationRight, probes.validationRows)).toEqual([...new Float64Array(tensor('heads.val_accuracy'))]);
  });

  it('reach the optimum that Newton finds, whatever the shape, scale and overlap of the classes', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.constantFrom(0.1, 1, 20), async (given, C) => {
        const problem = { ...made(given), C };
        const probes = await fitProbes(problem);
        expect(probes.converged.every((one) => one === 1)).toBe(true);
        expect(worstDifference(problem, probes)).toBeLessThan(3e-6);
      }),
      {
        numRuns: 60,
        // Weights of almost nothing, which hang on the last digits of the intercept.
        examples: [[{ rows: 19, heads: 2, headDim: 1, seeds: 2, seed: 544702134, apart: 0.3, scale: 0.001, offset: 0 }, 0.1]],
      },
    );
  });

  it('are the same from WebAssembly and from plain loops', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async (given) => {
        const problem = made(given);
        const [fast, plain] = [await fitProbes(problem), await fitProbes({ ...problem, kernels: 'plain' })];
        expect([fast.kernels, plain.kernels]).toEqual(['wasm', 'plain']);
        const size = plain.weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 1e-9);
        plain.weights.forEach((weight, i) => expect(Math.abs(fast.weights[i] - weight) / size).toBeLessThan(3e-6));
        expect(fast.trainRight).toEqual(plain.trainRight);
        expect(fast.validationRight).toEqual(plain.validationRight);
      }),
      { numRuns: 30 },
    );
  });

  it('count rows right as their own coefficients say', async () => {
    const problem = made(shape);
    const { features, heads, headDim, labels, train, validation } = problem;
    const probes = await fitProbes(problem);
    for (let seed = 0; seed < 3; seed++)
      for (let head = 0; head < heads; head++) {
        const at = seed * heads + head;
        const count = (mask: ArrayLike<number>): number =>
          Array.from(labels).filter((label, row) => {
            let z = probes.intercepts[at];
            for (let k = 0; k < headDim; k++) z += probes.weights[at * headDim + k] * features[(row * heads + head) * headDim + k];
            return mask[row] && z > 0 === (label === 1);
          }).length;
        expect(probes.trainRight[at]).toBe(count(train[seed]));
        expect(probes.validationRight[at]).toBe(count(validation[seed]));
      }
  });

  it('do not see rows outside their masks, nor other heads and seeds', async () => {
    const problem = made(shape);
    const whole = await fitProbes(problem);
    const part = await fitProbes({ ...problem, range: [2, 4] });
    expect(part.weights.subarray(0, 2 * 9)).toEqual(whole.weights.subarray(2 * 9, 4 * 9));
    expect(part.validationRight.subarray(0, 2)).toEqual(whole.validationRight.subarray(2, 4));
    const second = await fitProbes({ ...problem, train: [problem.train[1]], validation: [problem.validation[1]] });
    second.weights.forEach((weight, i) => expect(weight).toBeCloseTo(whole.weights[4 * 9 + i], 5));
    const changed = problem.features.slice();
    for (let row = 0; row < shape.rows; row++)
      if (!problem.train.some((mask) => mask[row]) && !problem.validation.some((mask) => mask[row]))
        changed.fill(1e30, row * 36, row * 36 + 36);
    expect((await fitProbes({ ...problem, features: changed })).weights).toEqual(whole.weights);
  });

  it('of separable classes are those that the penalty holds back', async () => {
    const problem = { ...made({ ...shape, apart: 30, seeds: 2 }), C: 1000 };
    const probes = await fitProbes(problem);
    expect([...probes.trainRight]).toEqual(Array.from({ length: 8 }, (_, i) => probes.trainRows[Math.floor(i / 4)]));
    expect(worstDifference(problem, probes)).toBeLessThan(3e-6);
  });

  it('give heads that say nothing no weight, and dead ones neither', async () => {
    const problem = made(shape);
    const features = problem.features.map((value, i) => (Math.floor((i % 36) / 9) === 1 ? 4 : value));
    const probes = await fitProbes({ ...problem, features });
    expect(probes.converged.every((one) => one === 1)).toBe(true);
    expect(probes.weights.subarray(9, 18).every((weight) => weight === 0)).toBe(true);
  });

  it('turn coefficients with the labels and leave accuracies', async () => {
    const problem = made(shape);
    const [probes, turned] = [
      await fitProbes(problem),
      await fitProbes({ ...problem, labels: Array.from(problem.labels, (label) => 1 - label) }),
    ];
    probes.weights.forEach((weight, i) => expect(turned.weights[i]).toBeCloseTo(-weight, 9));
    expect(turned.validationRight).toEqual(probes.validationRight);
  });

  it('report progress and stop when told to', async () => {
    const seen: number[] = [];
    const stop = new AbortController();
    const problem = made(shape);
    await fitProbes({ ...problem, onProgress: (done) => seen.push(done) });
    expect(seen).toEqual([1, 2, 3, 4]);
    const onProgress = (): void => stop.abort();
    await expect(fitProbes({ ...problem, signal: stop.signal, onProgress })).rejects.toMatchObject({ code: 'request/aborted' });
  });

  it('refuse what cannot be fitted', async () => {
    const problem = made(shape);
    const refused = async (change: Partial<ProbeProblem>, code: string): Promise<void> => {
      await expect(fitProbes({ ...problem, ...change })).rejects.toMatchObject({ code });
    };
    await refused({ labels: problem.labels.length === 0 ? [] : Array.from(problem.labels, () => 1) }, 'stats/one-class');
    await refused({ train: [new Uint8Array(200)], validation: [new Uint8Array(200)] }, 'stats/rows');
    await refused({ train: [new Uint8Array(10)], validation: [new Uint8Array(10)] }, 'stats/argument');
    await refused({ heads: 5 }, 'stats/argument');
    await refused({ range: [2, 5] }, 'stats/argument');
    await refused({ C: 0 }, 'stats/argument');
    await refused({ features: problem.features.map((value, i) => (i === 0 ? NaN : value)) }, 'stats/not-finite');
  });
});

describe('kernels of probes', () => {
  it.each([
    [1, 1, 1],
    [128, 3, 2],
    [129, 8, 5],
    [300, 13, 4],
  ])('in WebAssembly do what the plain loops do: %i rows, %i features, %i seeds', async (rows, width, seeds) => {
    const layout = probeLayout(rows, width, seeds);
    const { at, paddedRows, paddedSize, size } = layout;
    const run = (kernels: ReturnType<typeof plainKernels>) => {
      const random = seededRandom(9);
      const f64 = (offset: number, length: number): Float64Array => new Float64Array(kernels.buffer, offset, length);
      const features = new Float32Array(kernels.buffer, at.features, paddedRows * paddedSize);
      const rowWeights = new Float32Array(kernels.buffer, at.rowWeights, paddedRows);
      for (let row = 0; row < rows; row++) {
        for (let k = 0; k < size; k++) features[Math.floor(row / 128) * 128 * paddedSize + k * 128 + (row % 128)] = normal(random);
        rowWeights[row] = random();
        const sign = random() < 0.5 ? 1 : -1;
        f64(at.sign, paddedRows)[row] = sign;
        for (let seed = 0; seed < seeds; seed++) f64(at.signed, seeds * paddedRows)[seed * paddedRows + row] = random() < 0.7 ? sign : 0;
      }
      // Large ones, too: exponentials of all sizes.
      f64(at.weights, size * seeds).forEach((_, i, all) => (all[i] = normal(random) * 10 ** (i % 3)));
      kernels.pass();
      kernels.gram();
      const gradient = f64(at.gradient, 2 * size * seeds);
      const gram = new Float32Array(kernels.buffer, at.gram, (layout.bytes - at.gram) >> 2);
      return {
        scores: [...f64(at.scores, seeds * paddedRows)],
        residuals: [...f64(at.residuals, seeds * paddedRows)],
        gradient: Array.from({ length: size * seeds }, (_, i) => gradient[2 * i] + gradient[2 * i + 1]),
        gram: Array.from({ length: gram.length >> 2 }, (_, i) => gram[4 * i] + gram[4 * i + 1] + gram[4 * i + 2] + gram[4 * i + 3]),
      };
    };
    const [fast, plain] = [run(await wasmKernels(layout)), run(plainKernels(layout))];
    plain.scores.forEach((value, i) => expect(Math.abs(fast.scores[i] - value)).toBeLessThan(1e-10));
    plain.residuals.forEach((value, i) =>
      expect(Math.abs(fast.residuals[i] - value)).toBeLessThanOrEqual(1e-11 * Math.abs(value) + 1e-300),
    );
    plain.gradient.forEach((value, i) => expect(Math.abs(fast.gradient[i] - value)).toBeLessThan(1e-9));
    plain.gram.forEach((value, i) => expect(Math.abs(fast.gram[i] - value)).toBeLessThan(1e-3));
  });
});
