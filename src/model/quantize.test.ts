import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { f16Bits, f16ToF32 } from '../formats/float16.ts';
import { parseSafetensors, tensorF32 } from '../formats/safetensors.ts';
import { dequantizeRows, GROUP, groupsOf, quantizeRows } from './quantize.ts';

const folder = new URL('../../test/goldens/llama_quantized/', import.meta.url);
const weights = readFileSync(new URL('model.safetensors', folder));
const stored = readFileSync(new URL('quantized.safetensors', folder));
const tensors = parseSafetensors(weights, 'model.safetensors');
const expected = parseSafetensors(stored, 'quantized.safetensors');
const names = [...tensors.keys()].filter((name) => name.endsWith('_proj.weight'));

describe('quantisation', () => {
  it.each([
    ['q8', 'int8'],
    ['q4', 'int4_ort'],
  ] as const)('%s gives exactly the integers and scales of the golden %s', (kind, variant) => {
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const [rows, cols] = tensors.get(name)!.shape;
      const quantized = quantizeRows(tensorF32(weights, tensors.get(name)!), rows, cols, kind);
      const scales = tensorF32(stored, expected.get(`${variant}.${name}.scale`)!);
      expect(f16ToF32(quantized.scales)).toEqual(scales);
      const integers = tensorF32(stored, expected.get(`${variant}.${name}.q`)!);
      expect(dequantizeRows(quantized, rows, cols, kind)).toEqual(integers.map((q, i) => q * scales[Math.floor(i / GROUP)]));
    }
  });

  it('lays nibbles out low first, with 8 for zero, and fills a short last group', () => {
    const values = new Float32Array(34);
    values[0] = -8;
    values[1] = 3;
    values[33] = -8;
    const { data, scales } = quantizeRows(values, 1, 34, 'q4');
    expect(groupsOf(34)).toBe(2);
    expect([...scales]).toEqual([f16Bits(1), f16Bits(1)]);
    expect([...data.subarray(0, 2)]).toEqual([0xb0, 0x88]);
    expect([...data.subarray(16, 18)]).toEqual([0x08, 0x88]);
  });

  it('keeps zero rows zero', () => {
    for (const kind of ['q8', 'q4'] as const) {
      expect(dequantizeRows(quantizeRows(new Float32Array(66), 2, 33, kind), 2, 33, kind)).toEqual(new Float32Array(66));
    }
  });

  it('stays within half a step of every weight that is not clipped', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 70 }),
        fc.integer(),
        fc.constantFrom('q8' as const, 'q4' as const),
        (rows, cols, seed, kind) => {
          let state = seed | 1;
          const values = Float32Array.from({ length: rows * cols }, () => {
            state = (Math.imul(state, 1664525) + 1013904223) | 0;
            return state / 2 ** 31;
          });
          const quantized = quantizeRows(values, rows, cols, kind);
          const back = dequantizeRows(quantized, rows, cols, kind);
          const scales = f16ToF32(quantized.scales);
          for (let row = 0; row < rows; row++) {
            for (let col = 0; col < cols; col++) {
              const step = Math.abs(scales[row * groupsOf(cols) + Math.floor(col / GROUP)]);
              const error = Math.abs(back[row * cols + col] - values[row * cols + col]);
              // q4 has no +8: the largest value of the other sign may lose a whole step.
              expect(error).toBeLessThanOrEqual(step * (kind === 'q4' ? 1.01 : 0.51) + 1e-7);
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
