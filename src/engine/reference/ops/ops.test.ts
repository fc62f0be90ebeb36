import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noise } from '../../random.ts';
import { activate, gate, geluTanh, silu } from './activation.ts';
import { attention } from './attention.ts';
import { kl, logprob, logSumExp, topTokens } from './distribution.ts';
import { matmul } from './matmul.ts';
import { rmsNorm } from './rmsNorm.ts';
import { rotary } from './rotary.ts';
import { argmax, keepThreshold, sample } from './sample.ts';

const floats = (length: number, seed: number): Float32Array => Float32Array.from({ length }, (_, i) => noise(seed, 1, i) - 0.5);
const logits = fc
  .array(fc.float({ min: -30, max: 30, noNaN: true }), { minLength: 2, maxLength: 60 })
  .map((values) => Float32Array.from(values));

describe('matmul', () => {
  it('is the sum of products, whatever the sizes, with and without bias', () => {
    const sizes = fc.record({
      rows: fc.integer({ min: 1, max: 5 }),
      inputs: fc.integer({ min: 1, max: 9 }),
      outputs: fc.integer({ min: 1, max: 11 }),
    });
    fc.assert(
      fc.property(sizes, fc.nat(1000), fc.boolean(), ({ rows, inputs, outputs }, seed, biased) => {
        const x = floats(rows * inputs, seed);
        const w = floats(outputs * inputs, seed + 1);
        const bias = biased ? floats(outputs, seed + 2) : null;
        const out = new Float32Array(rows * outputs);
        matmul(x, rows, w, bias, inputs, outputs, out);
        for (let r = 0; r < rows; r++) {
          for (let o = 0; o < outputs; o++) {
            let sum = 0;
            for (let i = 0; i < inputs; i++) sum += w[o * inputs + i] * x[r * inputs + i];
            expect(out[r * outputs + o]).toBe(Math.fround(sum + (bias ? bias[o] : 0)));
          }
        }
      }),
    );
  });

  it('gives the same bits for a row alone, in a batch and in slices', () => {
    const [rows, inputs, outputs] = [5, 33, 23];
    const x = floats(rows * inputs, 1);
    const w = floats(outputs * inputs, 2);
    const whole = new Float32Array(rows * outputs);
    matmul(x, rows, w, null, inputs, outputs, whole);
    const sliced = new Float32Array(rows * outputs);
    for (let from = 0; from < outputs; from += 8) matmul(x, rows, w, null, inputs, outputs, sliced, from, Math.min(outputs, from + 8));
    expect(sliced).toEqual(whole);
    for (let r = 0; r < rows; r++) {
      const alone = new Float32Array(outputs);
      matmul(x.subarray(r * inputs, (r + 1) * inputs), 1, w, null, inputs, outputs, alone);
      expect(alone).toEqual(whole.slice(r * outputs, (r + 1) * outputs));
    }
  });
});

describe('rmsNorm', () => {
  it('scales each row to a mean square of 1 and multiplies by offset + weight', () => {
    const out = new Float32Array(4);
    rmsNorm(new Float32Array([3, 4, 0, 0.5]), new Float32Array([1, 2]), 0, 0, 2, 2, out);
    const s = 1 / Math.sqrt(12.5);
    [3 * s, 4 * s * 2, 0, Math.SQRT2 * 2].forEach((want, i) => expect(out[i]).toBeCloseTo(want, 6));
    rmsNorm(new Float32Array([3, 4]), new Float32Array([1, 2]), 0, 1, 1, 2, out);
    expect(out[1]).toBeCloseTo(4 * s * 3, 6);
  });

  it('keeps zeros zero', () => {
    const out = new Float32Array(3).fill(9);
    rmsNorm(new Float32Array(3), new Float32Array(3).fill(1), 1e-6, 0, 1, 3, out);
    expect([...out]).toEqual([0, 0, 0]);
  });
});

describe('rotary', () => {
  const headDim = 6;
  const angles = [1, 0.3, 0.05];
  const cos = Float32Array.from({ length: 30 }, (_, i) => Math.cos(Math.floor(i / 3) * angles[i % 3]));
  const sin = Float32Array.from({ length: 30 }, (_, i) => Math.sin(Math.floor(i / 3) * angles[i % 3]));
  const rotated = (seed: number, position: number): Float32Array => {
    const x = floats(headDim, seed);
    rotary(x, 0, 1, headDim, cos, sin, position);
    return x;
  };
  const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i], 0);

  it('pairs i with i + headDim / 2', () => {
    const x = new Float32Array([1, 0, 0, 0, 0, 0]);
    rotary(x, 0, 1, headDim, cos, sin, 2);
    expect(x[0]).toBeCloseTo(Math.cos(2), 6);
    expect(x[3]).toBeCloseTo(Math.sin(2), 6);
  });

  it('makes products depend on the distance alone', () => {
    expect(dot(rotated(1, 5), rotated(2, 3))).toBeCloseTo(dot(rotated(1, 8), rotated(2, 6)), 5);
    expect(dot(rotated(1, 4), rotated(1, 4))).toBeCloseTo(dot(floats(headDim, 1), floats(headDim, 1)), 5);
  });
});

describe('attention', () => {
  const shape = { heads: 4, kvHeads: 2, headDim: 3, scale: 0.5, window: null };

  it('of a single position is its value, each group of heads its own', () => {
    const values = floats(6, 1);
    const out = new Float32Array(12);
    attention(floats(12, 2), 0, floats(6, 3), values, 0, shape, out, 0);
    for (let h = 0; h < 4; h++) for (let i = 0; i < 3; i++) expect(out[h * 3 + i]).toBe(values[Math.floor(h / 2) * 3 + i]);
  });

  it('weighs by the softmax of scaled products, over the window', () => {
    const positions = 5;
    const [q, keys, values] = [floats(12, 4), floats(positions * 6, 5), floats(positions * 6, 6)];
    for (const window of [null, 1, 2, 5]) {
      const out = new Float32Array(12);
      attention(q, 0, keys, values, 4, { ...shape, window }, out, 0);
      const first = window === null ? 0 : 5 - window;
      const scores = [0, 1, 2, 3, 4].map((p) =>
        p < first ? 0 : Math.exp(0.5 * [0, 1, 2].reduce((sum, i) => sum + q[9 + i] * keys[p * 6 + 3 + i], 0)),
      );
      const total = scores.reduce((a, b) => a + b);
      const want = scores.reduce((sum, score, p) => sum + (score / total) * values[p * 6 + 4], 0);
      expect(out[10]).toBeCloseTo(want, 6);
    }
  });

  it('survives scores far beyond the range of exp', () => {
    const out = new Float32Array(12);
    attention(new Float32Array(12).fill(100), 0, new Float32Array(12).fill(100), new Float32Array(12).fill(2), 1, shape, out, 0);
    expect([...out]).toEqual(new Array(12).fill(2));
  });
});

describe('activations', () => {
  it('have their known values', () => {
    expect(silu(1)).toBeCloseTo(0.7310586, 6);
    expect(silu(-1000)).toBe(-0);
    expect(geluTanh(1)).toBeCloseTo(0.841192, 5);
    expect(geluTanh(-1)).toBeCloseTo(-0.158808, 5);
    expect(geluTanh(50)).toBe(50);
  });

  it('act on each value and gate by the product', () => {
    const x = new Float32Array([1, -1]);
    activate('gelu_tanh', x, x);
    expect(x[0]).toBeCloseTo(0.841192, 5);
    gate(x, new Float32Array([2, 3]), x);
    expect(x[1]).toBeCloseTo(-0.476424, 5);
  });
});

describe('distributions', () => {
  it('sum to one and do not mind a shift', () => {
    fc.assert(
      fc.property(logits, (row) => {
        const total = [...row].reduce((sum, _, id) => sum + Math.exp(logprob(row, id)), 0);
        expect(total).toBeCloseTo(1, 9);
        expect(logSumExp(row.map((value) => value + 1000))).toBeCloseTo(logSumExp(row) + 1000, 2);
      }),
    );
  });

  it('diverge from others and not from themselves', () => {
    fc.assert(
      fc.property(logits, (row) => {
        expect(kl(row, row)).toBe(0);
        expect(kl(row, row.toReversed())).toBeGreaterThanOrEqual(0);
      }),
    );
    expect(kl(new Float32Array([0, 0]), new Float32Array([Math.log(3), 0]))).toBeCloseTo(
      0.5 * Math.log(0.5 / 0.75) + 0.5 * Math.log(0.5 / 0.25),
      6,
    );
  });

  it('name the most likely tokens in order, lower ids first', () => {
    fc.assert(
      fc.property(logits, fc.nat(70), (row, n) => {
        const want = [...row.keys()].sort((a, b) => row[b] - row[a] || a - b).slice(0, n);
        expect(topTokens(row, n).map((token) => token.id)).toEqual(want);
      }),
    );
  });
});

describe('sampling', () => {
  const all = { temperature: 1, topK: 0, topP: 1 };

  it('is greedy at temperature 0, with the lowest id on ties', () => {
    expect(argmax(new Float32Array([1, 3, 3, 2]))).toBe(1);
    expect(sample(new Float32Array([1, 3, 3, 2]), { temperature: 0, topK: 2, topP: 0.1 }, 1, 1)).toBe(1);
  });

  it('keeps the k largest, ties included', () => {
    const row = new Float32Array([5, 1, 3, 3, 2]);
    expect(keepThreshold(row, { ...all, topK: 1 })).toBe(5);
    expect(keepThreshold(row, { ...all, topK: 2 })).toBe(3);
    expect(keepThreshold(row, { ...all, topK: 3 })).toBe(3);
    expect(keepThreshold(row, { ...all, topK: 5 })).toBe(-Infinity);
    expect(keepThreshold(row, all)).toBe(-Infinity);
  });

  it('keeps the smallest set that reaches p, after top-k and at the temperature', () => {
    const row = Float32Array.from([0.5, 0.3, 0.15, 0.05], Math.log);
    expect(keepThreshold(row, { ...all, topP: 0.45 })).toBe(row[0]);
    expect(keepThreshold(row, { ...all, topP: 0.6 })).toBe(row[1]);
    expect(keepThreshold(row, { ...all, topP: 0.9 })).toBe(row[2]);
    // Of the two that top-k keeps, the first has 0.625 of the probability.
    expect(keepThreshold(row, { ...all, topK: 2, topP: 0.6 })).toBe(row[0]);
    // At a low temperature the first has almost all of it.
    expect(keepThreshold(row, { ...all, temperature: 0.1, topP: 0.9 })).toBe(row[0]);
  });

  it('never takes what is not kept', () => {
    fc.assert(
      fc.property(
        logits,
        fc.integer({ min: 0, max: 9 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.nat(),
        (row, topK, topP, seed) => {
          const rule = { temperature: 0.8, topK, topP };
          expect(row[sample(row, rule, seed, 3)]).toBeGreaterThanOrEqual(keepThreshold(row, rule));
        },
      ),
    );
  });

  it('takes tokens as often as their probability says', () => {
    const row = Float32Array.from([0.5, 0.3, 0.15, 0.05], Math.log);
    const counts = [0, 0, 0, 0];
    const runs = 20_000;
    for (let position = 0; position < runs; position++) counts[sample(row, all, 99, position)]++;
    [0.5, 0.3, 0.15, 0.05].forEach((p, id) => expect(Math.abs(counts[id] / runs - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / runs)));
  });
});
