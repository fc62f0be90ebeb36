import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EditName, ReadName } from './document.ts';
import { applyEdit, applyRead } from './edit.ts';

const run = (edit: EditName, x: number[], strength: number, vector: number[] | null, mask: number[] | null = null): number[] => {
  const row = Float32Array.from(x);
  applyEdit({ edit, mask: mask && Float32Array.from(mask) }, row, strength, vector && Float32Array.from(vector));
  return [...row];
};
const read = (name: ReadName, x: number[], vector: number[] | null = null): number =>
  applyRead({ read: name, vector: vector && Float32Array.from(vector) }, Float32Array.from(x));

const row = fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: 6, maxLength: 6 });
const number = fc.float({ min: -4, max: 4, noNaN: true });
const unit = row.filter((v) => Math.hypot(...v) > 0.1).map((v) => v.map((x) => x / Math.hypot(...v)));
const project = (x: number[], u: number[]): number => x.reduce((sum, value, i) => sum + value * u[i], 0);

describe('edits', () => {
  it.each<[EditName, number[], number, number[] | null, number[] | null, number[]]>([
    ['add', [1, 2], 0.5, [4, -4], null, [3, 0]],
    ['add', [1, 2], 0.5, null, null, [1, 2]],
    ['scale', [1, 2], -1, null, null, [0, 0]],
    ['scale', [1, 2, 3], 2, null, [0, 1, 0.5], [1, 6, 6]],
    ['ablate', [3, 4], 1, [1, 0], null, [0, 4]],
    ['ablate', [3, 4], 0.5, [0, 1], null, [3, 2]],
    ['ablate', [3, 4], -1, [0, 1], null, [3, 8]],
    ['clamp', [3, 4], 10, [0, 1], null, [3, 10]],
    ['clamp', [3, 4], 0, [0, 1], null, [3, 0]],
    ['cap', [3, 4], 10, [0, 1], null, [3, 4]],
    ['cap', [3, 4], 1, [0, 1], null, [3, 1]],
    ['cap', [3, -4], -5, [0, 1], null, [3, -5]],
    ['set', [3, 4], 1, [7, 8], null, [7, 8]],
    ['set', [3, 4], 1, null, null, [0, 0]],
    ['set', [3, 4], 0.25, [7, 8], null, [4, 5]],
    ['set', [Infinity, NaN], 1, [7, 8], null, [7, 8]],
  ])('%s of %j with strength %d and %j, %j', (edit, x, strength, vector, mask, expected) => {
    expect(run(edit, x, strength, vector, mask)).toEqual(expected);
  });

  it('touch their slice only', () => {
    const whole = Float32Array.from([1, 2, 3, 4]);
    applyEdit({ edit: 'add', mask: null }, whole.subarray(1, 3), 1, Float32Array.from([10, 10]));
    expect([...whole]).toEqual([1, 12, 13, 4]);
  });

  it('set the projection they promise and leave the rest', () => {
    fc.assert(
      fc.property(row, unit, number, (x, u, s) => {
        const uf = [...Float32Array.from(u)];
        const before = project([...Float32Array.from(x)], uf);
        expect(project(run('clamp', x, s, u), uf)).toBeCloseTo(s, 4);
        expect(project(run('ablate', x, 1, u), uf)).toBeCloseTo(0, 4);
        expect(project(run('cap', x, s, u), uf)).toBeCloseTo(Math.min(before, s), 4);
        const clamped = run('clamp', x, s, u);
        const difference = clamped.map((value, i) => value - Math.fround(x[i]));
        const along = project(difference, uf);
        difference.forEach((value, i) => expect(value).toBeCloseTo(along * uf[i], 4));
        expect(run('ablate', run('ablate', x, 1, u), 1, u).map((v) => v.toFixed(3).replace('-0.000', '0.000'))).toEqual(
          run('ablate', x, 1, u).map((v) => v.toFixed(3).replace('-0.000', '0.000')),
        );
      }),
    );
  });

  it('add rounds once: the sum in f64, then f32', () => {
    fc.assert(
      fc.property(row, row, number, (x, v, s) => {
        expect(run('add', x, s, v)).toEqual(x.map((value, i) => Math.fround(Math.fround(value) + s * Math.fround(v[i]))));
      }),
    );
  });
});

describe('reads', () => {
  it('are dot product, cosine and length', () => {
    expect(read('dot', [1, 2], [3, 4])).toBe(11);
    expect(read('norm', [3, 4])).toBe(5);
    expect(read('cosine', [3, 4], [6, 8])).toBeCloseTo(1, 12);
    expect(read('cosine', [0, 0], [6, 8])).toBe(0);
    expect(read('cosine', [1, 2], [0, 0])).toBe(0);
  });

  it('cosine stays between -1 and 1 and does not see lengths', () => {
    fc.assert(
      fc.property(row, unit, (x, u) => {
        const cosine = read('cosine', x, u);
        expect(Math.abs(cosine)).toBeLessThanOrEqual(1 + 1e-9);
        expect(
          read(
            'cosine',
            x,
            u.map((value) => 4 * value),
          ),
        ).toBeCloseTo(cosine, 6);
      }),
    );
  });
});
