import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gumbel, hash, noise, pcg, uniform } from './random.ts';

const u32 = fc.integer({ min: 0, max: 0xffffffff });

/** The definition once more, in arbitrary precision. */
function exactPcg(value: bigint): bigint {
  const mask = 0xffffffffn;
  const state = (value * 747796405n + 2891336453n) & mask;
  const word = (((state >> ((state >> 28n) + 4n)) ^ state) * 277803737n) & mask;
  return (word >> 22n) ^ word;
}

describe('the random stream', () => {
  it('hashes as PCG-RXS-M-XS says', () => {
    fc.assert(fc.property(u32, (value) => BigInt(pcg(value)) === exactPcg(BigInt(value))));
    expect([0, 1, 0xffffffff].map(pcg)).toEqual([0, 1, 0xffffffff].map((value) => Number(exactPcg(BigInt(value)))));
  });

  it('mixes seed, position and token in this order', () => {
    const chain = (seed: bigint, position: bigint, token: bigint): bigint => exactPcg(exactPcg(exactPcg(seed) ^ position) ^ token);
    fc.assert(fc.property(u32, u32, u32, (s, p, t) => BigInt(hash(s, p, t)) === chain(BigInt(s), BigInt(p), BigInt(t))));
  });

  it('stays inside (0, 1) at both ends, in f32 as in f64', () => {
    for (const bits of [0, 511, 512, 0x7fffffff, 0xfffffdff, 0xffffffff]) {
      expect(uniform(bits)).toBeGreaterThan(0);
      expect(uniform(bits)).toBeLessThan(1);
      expect(Math.fround(uniform(bits))).toBe(uniform(bits));
    }
    expect(gumbel(0)).toBeCloseTo(-Math.log(24 * Math.LN2), 6);
    expect(gumbel(0xffffffff)).toBeCloseTo(24 * Math.LN2, 5);
  });

  it('has the mean and the spread of Gumbel noise', () => {
    const values = Array.from({ length: 20_000 }, (_, token) => noise(42, 7, token));
    const mean = values.reduce((a, b) => a + b) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(mean).toBeCloseTo(0.5772, 1);
    expect(variance).toBeCloseTo(Math.PI ** 2 / 6, 1);
  });

  it('differs between neighbours in seed, position and token', () => {
    fc.assert(
      fc.property(u32, fc.nat(4096), fc.nat(200_000), (s, p, t) => {
        const here = hash(s, p, t);
        return here !== hash((s + 1) >>> 0, p, t) && here !== hash(s, p + 1, t) && here !== hash(s, p, t + 1);
      }),
    );
  });
});
