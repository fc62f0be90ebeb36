import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  differenceOf,
  headNorms,
  meanOf,
  randomDirections,
  relevanceOf,
  seededUniform,
  typicalNorms,
  withNorms,
} from './direction-maths.ts';

const f32 = (...values: number[]): Float32Array => Float32Array.from(values);

describe('direction maths', () => {
  it('measures lengths per head', () => {
    expect([...headNorms(f32(3, 4, 0, 5), 2)]).toEqual([5, 5]);
    expect([...typicalNorms([f32(3, 4, 0, 1), f32(0, 1, 0, 7)], 2)]).toEqual([Math.fround(Math.sqrt(13)), 5]);
  });

  it('takes means and differences', () => {
    expect([...differenceOf(meanOf([f32(1, 2), f32(3, 6)]), f32(1, 1))]).toEqual([1, 3]);
  });

  it('stretches every head to the length asked for and leaves silent heads silent', () => {
    expect([...withNorms(f32(3, 4, 0, 0), f32(10, 10), 2)]).toEqual([6, 8, 0, 0]);
    expect([...relevanceOf(f32(3, 4, 3, 4), f32(10, 0), 2)]).toEqual([0.5, 0]);
  });

  it('makes random directions of the given lengths, the same for the same seed', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.array(fc.float({ min: Math.fround(0.125), max: 100, noNaN: true }), { minLength: 1, maxLength: 6 }),
        (seed, list) => {
          const lengths = Float32Array.from(list);
          const once = randomDirections(seed, lengths, 8);
          expect(randomDirections(seed, lengths, 8)).toEqual(once);
          headNorms(once, 8).forEach((norm, head) => expect(norm / lengths[head]).toBeCloseTo(1, 4));
        },
      ),
    );
    expect(randomDirections(1, f32(1), 8)).not.toEqual(randomDirections(2, f32(1), 8));
  });

  it('draws uniform numbers in [0, 1)', () => {
    const next = seededUniform(5);
    const values = Array.from({ length: 2000 }, next);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    expect(values.reduce((a, b) => a + b) / values.length).toBeCloseTo(0.5, 1);
  });
});
