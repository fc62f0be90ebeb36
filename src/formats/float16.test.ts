import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bf16Bits, bf16ToF32, f16Bits, f16ToF32, f16Value, f32ToF16 } from './float16.ts';

/** What the bits mean, straight from the definition of binary16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

describe('float16', () => {
  it('reads every half as defined', () => {
    const values = f16ToF32(all);
    for (let bits = 0; bits < 65536; bits++)
      if (!Object.is(values[bits], half(bits)) || !Object.is(f16Value(bits), half(bits))) expect(values[bits]).toBe(half(bits));
  });

  it('writes back every half unchanged', () => {
    const back = f32ToF16(f16ToF32(all));
    for (let bits = 0; bits < 65536; bits++) {
      if (Number.isNaN(half(bits))) expect(half(back[bits])).toBeNaN();
      else if (back[bits] !== bits) expect(back[bits]).toBe(bits);
    }
  });

  it('rounds to the nearest half, ties to even', () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const below = half(bits);
      const above = half(bits + 1);
      const middle = (below + above) / 2; // exact in f32
      const even = bits % 2 === 0 ? bits : bits + 1;
      if (f16Bits(middle) !== even || f16Bits(-middle) !== (even | 0x8000)) expect(f16Bits(middle)).toBe(even);
    }
    expect(f16Bits(65519.996)).toBe(0x7bff);
    expect(f16Bits(65520)).toBe(0x7c00);
    expect(f16Bits(-Infinity)).toBe(0xfc00);
  });

  it('is never farther than half a step from any number', () => {
    fc.assert(
      fc.property(fc.float({ min: -65504, max: 65504, noNaN: true }), (value) => {
        const bits = f16Bits(value);
        const got = half(bits);
        const exponent = (bits >> 10) & 31;
        const step = 2 ** (Math.max(exponent, 1) - 25);
        expect(Math.abs(got - value)).toBeLessThanOrEqual(step / 2);
      }),
    );
  });

  it('reads and rounds bfloat16', () => {
    expect([...bf16ToF32(Uint16Array.of(0x3f80, 0xc000, 0x0000, 0x7f80))]).toEqual([1, -2, 0, Infinity]);
    expect(bf16Bits(1)).toBe(0x3f80);
    expect(bf16Bits(1 + 2 ** -8)).toBe(0x3f80);
    expect(bf16Bits(1 + 3 * 2 ** -8)).toBe(0x3f82);
    expect(bf16Bits(NaN) & 0x7fff).toBeGreaterThan(0x7f80);
  });
});
