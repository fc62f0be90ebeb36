import { describe, expect, it } from 'vitest';
import { ropeFrequencies, ropeTable } from './rope.ts';

describe('rotary tables', () => {
  it('hold cosines and sines of position times frequency', () => {
    const { cos, sin } = ropeTable({ theta: 10000, scaling: null }, 8, 5);
    for (let position = 0; position < 5; position++) {
      for (let i = 0; i < 4; i++) {
        const angle = position / 10000 ** (i / 4);
        expect(cos[position * 4 + i]).toBe(Math.fround(Math.cos(angle)));
        expect(sin[position * 4 + i]).toBe(Math.fround(Math.sin(angle)));
      }
    }
  });

  it('divide every frequency for linear scaling', () => {
    const plain = ropeFrequencies({ theta: 500, scaling: null }, 16);
    const scaled = ropeFrequencies({ theta: 500, scaling: { type: 'linear', factor: 4 } }, 16);
    expect([...scaled]).toEqual([...plain].map((f) => f / 4));
  });

  it('keep short wavelengths, divide long ones and blend between for llama3', () => {
    const scaling = { type: 'llama3', factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 8192 } as const;
    const plain = ropeFrequencies({ theta: 500000, scaling: null }, 64);
    const scaled = ropeFrequencies({ theta: 500000, scaling }, 64);
    const kinds = { kept: 0, blended: 0, divided: 0 };
    for (let i = 0; i < 32; i++) {
      const wavelength = (2 * Math.PI) / plain[i];
      const ratio = scaled[i] / plain[i];
      if (wavelength < 2048) {
        expect(ratio).toBe(1);
        kinds.kept++;
      } else if (wavelength > 8192) {
        expect(ratio).toBeCloseTo(1 / 32, 12);
        kinds.divided++;
      } else {
        expect(ratio).toBeGreaterThan(1 / 32);
        expect(ratio).toBeLessThan(1);
        kinds.blended++;
      }
    }
    expect(Math.min(...Object.values(kinds))).toBeGreaterThan(0);
  });
});
