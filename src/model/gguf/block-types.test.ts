import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { dequantizeRows, quantizeRows } from '../quantize.ts';
import { dequantizers } from './block-types.ts';

/** Random blocks and what the gguf package for Python (numpy) makes of them. */
const goldens = JSON.parse(readFileSync(new URL('../../../test/weights/gguf-blocks.json', import.meta.url), 'utf8')) as Record<
  string,
  { readonly bytes: string; readonly weights: string }
>;
const decoded = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));

describe('blocks of GGUF tensors', () => {
  it('has goldens of every type that is read', () => {
    expect(Object.keys(goldens).sort()).toEqual(Object.keys(dequantizers).sort());
  });

  it.each(Object.entries(goldens))('%s: agrees with an independent decoder, bit for bit', (name, { bytes, weights }) => {
    const expected = new Float32Array(decoded(weights).buffer);
    const out = new Float32Array(expected.length);
    dequantizers[name as keyof typeof dequantizers]?.decode(decoded(bytes), out);
    expect(out).toEqual(expected);
  });
});

/** A deterministic sequence of numbers in [-1, 1). */
function noise(count: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

describe('types that map exactly onto the engines’ own', () => {
  it('Q8_0 survives the way to q8 and back, integers and scales', () => {
    const values = noise(32 * 64);
    const own = quantizeRows(values, 64, 32, 'q8');
    const blocks = new Uint8Array(64 * 34);
    for (let row = 0; row < 64; row++) {
      blocks.set([own.scales[row] & 255, own.scales[row] >> 8], row * 34);
      blocks.set(own.data.subarray(row * 32, row * 32 + 32), row * 34 + 2);
    }
    const weights = new Float32Array(values.length);
    dequantizers.Q8_0?.decode(blocks, weights);
    expect(weights).toEqual(dequantizeRows(own, 64, 32, 'q8'));
    expect(quantizeRows(weights, 64, 32, 'q8')).toEqual(own);
  });

  it('Q4_0 whose largest weight is the lowest integer, as the usual quantiser makes it, survives the way to q4 and back', () => {
    const values = noise(32 * 64);
    const own = quantizeRows(values, 64, 32, 'q4');
    const blocks = new Uint8Array(64 * 18);
    const nibble = (row: number, i: number): number => (own.data[row * 16 + (i >> 1)] >> ((i & 1) * 4)) & 15;
    for (let row = 0; row < 64; row++) {
      blocks.set([own.scales[row] & 255, own.scales[row] >> 8], row * 18);
      for (let i = 0; i < 16; i++) blocks[row * 18 + 2 + i] = nibble(row, i) | (nibble(row, i + 16) << 4);
    }
    const weights = new Float32Array(values.length);
    dequantizers.Q4_0?.decode(blocks, weights);
    expect(quantizeRows(weights, 64, 32, 'q4')).toEqual(own);
  });
});
