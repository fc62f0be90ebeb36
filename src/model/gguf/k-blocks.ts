import { scaleAt } from './half-scale.ts';

/**
 * K-quants: super-blocks of 256 weights, in sub-blocks of 16 or 32 whose own scales are quantised again (ggml-common.h). A product
 * of scales has at most 19 significant bits, so only the last operation on a weight rounds to f32.
 */
const SUPER = 256;

/** 16 bytes of 4-bit scale and minimum, 64 bytes of 2-bit weights, f16 d, f16 dmin: w = d s q - dmin m, sub-blocks of 16. */
export function dequantizeQ2K(bytes: Uint8Array, out: Float32Array): void {
  for (let block = 0, at = 0; at < out.length; block += 84, at += SUPER) {
    const d = scaleAt(bytes, block + 80);
    const dmin = scaleAt(bytes, block + 82);
    for (let sub = 0; sub < 16; sub++) {
      const packed = bytes[block + sub];
      const scale = d * (packed & 15);
      const least = dmin * (packed >> 4);
      // Half a super-block has 32 bytes; each holds one weight of four runs of 32.
      const from = block + 16 + (sub >> 3) * 32 + (sub & 1) * 16;
      const shift = ((sub >> 1) & 3) * 2;
      const to = at + sub * 16;
      for (let i = 0; i < 16; i++) out[to + i] = scale * ((bytes[from + i] >> shift) & 3) - least;
    }
  }
}

/**
 * 32 bytes of third bits, 64 bytes of 2-bit weights, 12 bytes of sixteen 6-bit scales, f16 d: w = d (s - 32) q, where q is reduced
 * by 4 if its third bit is clear.
 */
export function dequantizeQ3K(bytes: Uint8Array, out: Float32Array): void {
  for (let block = 0, at = 0; at < out.length; block += 110, at += SUPER) {
    const d = scaleAt(bytes, block + 108);
    const scales = block + 96;
    for (let sub = 0; sub < 16; sub++) {
      const low = (bytes[scales + (sub & 7)] >> ((sub >> 3) * 4)) & 15;
      const high = (bytes[scales + 8 + (sub & 3)] >> ((sub >> 2) * 2)) & 3;
      const scale = d * ((low | (high << 4)) - 32);
      const column = (sub & 1) * 16;
      const from = block + 32 + (sub >> 3) * 32 + column;
      const shift = ((sub >> 1) & 3) * 2;
      const mask = 1 << (sub >> 1);
      const to = at + sub * 16;
      for (let i = 0; i < 16; i++) {
        const q = ((bytes[from + i] >> shift) & 3) - ((bytes[block + column + i] & mask) === 0 ? 4 : 0);
        out[to + i] = scale * q;
      }
    }
  }
}

/** The 6-bit scale and minimum of sub-block `sub` of 8, packed into 12 bytes. */
function scaleOf(bytes: Uint8Array, at: number, sub: number): number {
  return sub < 4 ? bytes[at + sub] & 63 : (bytes[at + sub + 4] & 15) | ((bytes[at + sub - 4] >> 6) << 4);
}

function leastOf(bytes: Uint8Array, at: number, sub: number): number {
  return sub < 4 ? bytes[at + sub + 4] & 63 : (bytes[at + sub + 4] >> 4) | ((bytes[at + sub] >> 6) << 4);
}

/** f16 d, f16 dmin, 12 bytes of scales, 128 bytes of nibbles: w = d s q - dmin m, sub-blocks of 32. */
export function dequantizeQ4K(bytes: Uint8Array, out: Float32Array): void {
  for (let block = 0, at = 0; at < out.length; block += 144, at += SUPER) {
    const d = scaleAt(bytes, block);
    const dmin = scaleAt(bytes, block + 2);
    for (let sub = 0; sub < 8; sub++) {
      const scale = d * scaleOf(bytes, block + 4, sub);
      const least = dmin * leastOf(bytes, block + 4, sub);
      const from = block + 16 + (sub >> 1) * 32;
      const shift = (sub & 1) * 4;
      const to = at + sub * 32;
      for (let i = 0; i < 32; i++) out[to + i] = scale * ((bytes[from + i] >> shift) & 15) - least;
    }
  }
}

/** As Q4_K with 32 bytes of fifth bits before the nibbles. */
export function dequantizeQ5K(bytes: Uint8Array, out: Float32Array): void {
  for (let block = 0, at = 0; at < out.length; block += 176, at += SUPER) {
    const d = scaleAt(bytes, block);
    const dmin = scaleAt(bytes, block + 2);
    for (let sub = 0; sub < 8; sub++) {
      const scale = d * scaleOf(bytes, block + 4, sub);
      const least = dmin * leastOf(bytes, block + 4, sub);
      const from = block + 48 + (sub >> 1) * 32;
      const shift = (sub & 1) * 4;
      const to = at + sub * 32;
      for (let i = 0; i < 32; i++) {
        const q = ((bytes[from + i] >> shift) & 15) | (((bytes[block + 16 + i] >> sub) & 1) << 4);
        out[to + i] = scale * q - least;
      }
    }
  }
}

/** 128 bytes of nibbles, 64 bytes of two more bits, 16 int8 scales, f16 d: w = d s (q - 32), sub-blocks of 16. */
export function dequantizeQ6K(bytes: Uint8Array, out: Float32Array): void {
  for (let block = 0, at = 0; at < out.length; block += 210, at += SUPER) {
    const d = scaleAt(bytes, block + 208);
    for (let sub = 0; sub < 16; sub++) {
      const scale = d * ((bytes[block + 192 + sub] << 24) >> 24);
      const half = sub >> 3;
      const run = (sub >> 1) & 3; // of 32 weights in the half
      const column = (sub & 1) * 16;
      const low = block + half * 64 + (run & 1) * 32 + column;
      const lowShift = (run >> 1) * 4;
      const high = block + 128 + half * 32 + column;
      const to = at + sub * 16;
      for (let i = 0; i < 16; i++) {
        const q = ((bytes[low + i] >> lowShift) & 15) | (((bytes[high + i] >> (run * 2)) & 3) << 4);
        out[to + i] = scale * (q - 32);
      }
    }
  }
}
