import type { GgufType } from '../../formats/gguf.ts';
import { dequantizeIq2Xxs, dequantizeIq4Nl, dequantizeIq4Xs } from './codebook-blocks.ts';
import { scaleAt } from './half-scale.ts';
import { dequantizeQ2K, dequantizeQ3K, dequantizeQ4K, dequantizeQ5K, dequantizeQ6K } from './k-blocks.ts';

/**
 * Quantised blocks of GGUF tensors and what they stand for. Layouts are those of ggml (ggml-common.h); sums and products are
 * rounded to f32 where ggml's own dequantisation rounds, so values agree with it bit for bit.
 */

/** Decodes whole blocks: `bytes` holds them end to end, `out` takes all their weights. */
export type Dequantizer = (bytes: Uint8Array, out: Float32Array) => void;

/** f16 d, 32 int8: w = q d. */
const dequantizeQ8: Dequantizer = (bytes, out) => {
  for (let block = 0, at = 0; at < out.length; block += 34) {
    const d = scaleAt(bytes, block);
    for (let i = 0; i < 32; i++) out[at++] = ((bytes[block + 2 + i] << 24) >> 24) * d;
  }
};

/** f16 d, 16 bytes whose low nibbles are weights 0 to 15 and whose high nibbles are 16 to 31: w = (q - 8) d. */
const dequantizeQ4: Dequantizer = (bytes, out) => {
  for (let block = 0, at = 0; at < out.length; block += 18, at += 32) {
    const d = scaleAt(bytes, block);
    for (let i = 0; i < 16; i++) {
      const byte = bytes[block + 2 + i];
      out[at + i] = ((byte & 15) - 8) * d;
      out[at + 16 + i] = ((byte >> 4) - 8) * d;
    }
  }
};

/** f16 d, f16 m, nibbles as Q4_0: w = q d + m. */
const dequantizeQ4m: Dequantizer = (bytes, out) => {
  for (let block = 0, at = 0; at < out.length; block += 20, at += 32) {
    const d = scaleAt(bytes, block);
    const m = scaleAt(bytes, block + 2);
    for (let i = 0; i < 16; i++) {
      const byte = bytes[block + 4 + i];
      out[at + i] = (byte & 15) * d + m;
      out[at + 16 + i] = (byte >> 4) * d + m;
    }
  }
};

const u32 = (bytes: Uint8Array, at: number): number => bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);

/** f16 d, 32 fifth bits, nibbles as Q4_0: w = (q - 16) d. */
const dequantizeQ5: Dequantizer = (bytes, out) => {
  for (let block = 0, at = 0; at < out.length; block += 22, at += 32) {
    const d = scaleAt(bytes, block);
    const high = u32(bytes, block + 2);
    for (let i = 0; i < 16; i++) {
      const byte = bytes[block + 6 + i];
      out[at + i] = (((byte & 15) | (((high >>> i) & 1) << 4)) - 16) * d;
      out[at + 16 + i] = (((byte >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16) * d;
    }
  }
};

/** f16 d, f16 m, 32 fifth bits, nibbles as Q4_0: w = q d + m. */
const dequantizeQ5m: Dequantizer = (bytes, out) => {
  for (let block = 0, at = 0; at < out.length; block += 24, at += 32) {
    const d = scaleAt(bytes, block);
    const m = scaleAt(bytes, block + 2);
    const high = u32(bytes, block + 4);
    for (let i = 0; i < 16; i++) {
      const byte = bytes[block + 8 + i];
      out[at + i] = ((byte & 15) | (((high >>> i) & 1) << 4)) * d + m;
      out[at + 16 + i] = ((byte >> 4) | (((high >>> (i + 16)) & 1) << 4)) * d + m;
    }
  }
};

/** How the weights of a type map onto the engines' own groups of 32: `q8` and `q4` lose nothing, null is rounded anew. */
export type ExactFor = 'q8' | 'q4' | null;

/** Quantised types that are read. */
export const dequantizers: Readonly<Partial<Record<GgufType, { readonly decode: Dequantizer; readonly exact: ExactFor }>>> = {
  Q8_0: { decode: dequantizeQ8, exact: 'q8' },
  Q4_0: { decode: dequantizeQ4, exact: 'q4' },
  Q4_1: { decode: dequantizeQ4m, exact: null },
  Q5_0: { decode: dequantizeQ5, exact: null },
  Q5_1: { decode: dequantizeQ5m, exact: null },
  Q2_K: { decode: dequantizeQ2K, exact: null },
  Q3_K: { decode: dequantizeQ3K, exact: null },
  Q4_K: { decode: dequantizeQ4K, exact: null },
  Q5_K: { decode: dequantizeQ5K, exact: null },
  Q6_K: { decode: dequantizeQ6K, exact: null },
  IQ4_NL: { decode: dequantizeIq4Nl, exact: null },
  IQ4_XS: { decode: dequantizeIq4Xs, exact: null },
  IQ2_XXS: { decode: dequantizeIq2Xxs, exact: null },
};
