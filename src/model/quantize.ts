import { f16Bits, f16ToF32, f16Value } from '../formats/float16.ts';

/**
 * Symmetric integer weights in groups of 32 consecutive inputs of one output row (the layout of ONNX Runtime's MatMulNBits,
 * docs/ContribOperators.md there). Scales are rounded to half precision before the integers are computed, so that an engine that
 * keeps them in half precision computes with exactly the weights that were chosen.
 */
export const GROUP = 32;

export interface QuantizedRows {
  /** q4: [rows, groups * 16], low nibble the even input, nibble = q + 8. q8: [rows, groups * 32], two's complement. */
  readonly data: Uint8Array;
  /** [rows, groups], binary16 bits. q4: value of largest magnitude / -8, so it may be negative. q8: largest magnitude / 127. */
  readonly scales: Uint16Array;
}

/** Groups of a row: the last one may be short; its missing inputs count as zero weights. */
export const groupsOf = (cols: number): number => Math.ceil(cols / GROUP);

/** 1.5 * 2^52: adding and taking it away rounds an f64 to the nearest integer, ties to even, without a branch. */
const ROUND = 6755399441055744;

/** Quantises a matrix [rows, cols] of f32. */
export function quantizeRows(values: Float32Array, rows: number, cols: number, kind: 'q8' | 'q4'): QuantizedRows {
  const groups = groupsOf(cols);
  const scales = new Uint16Array(rows * groups);
  const data = new Uint8Array(rows * groups * (kind === 'q4' ? GROUP / 2 : GROUP));
  if (kind === 'q4') quantize4(values, rows, cols, groups, data, scales);
  else quantize8(values, rows, cols, groups, data, scales);
  return { data, scales };
}

/**
 * The value of largest magnitude, with its sign; of equal ones the first. Magnitudes are compared as the integers that their bits are,
 * which orders them alike and takes half the time; a running maximum changes so seldom that its branch is foreseen.
 */
function largestOf(values: Float32Array, words: Uint32Array, from: number, length: number): number {
  let most = 0;
  let at = from;
  for (let i = from; i < from + length; i++) {
    const magnitude = words[i] & 0x7fffffff;
    if (magnitude > most) {
      most = magnitude;
      at = i;
    }
  }
  return values[at];
}

const wordsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

function quantize4(values: Float32Array, rows: number, cols: number, groups: number, data: Uint8Array, scales: Uint16Array): void {
  const words = wordsOf(values);
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      const from = row * cols + group * GROUP;
      const length = Math.min(GROUP, cols - group * GROUP);
      const largest = largestOf(values, words, from, length);
      const bits = largest === 0 ? 0 : f16Bits(largest / -8);
      scales[row * groups + group] = bits;
      const inverse = inverseOf(bits);
      const at = (row * groups + group) * (GROUP / 2);
      const whole = length >> 1;
      for (let pair = 0; pair < whole; pair++) {
        data[at + pair] = nibble(values[from + 2 * pair], inverse) | (nibble(values[from + 2 * pair + 1], inverse) << 4);
      }
      for (let pair = whole; pair < GROUP / 2; pair++) {
        data[at + pair] = (2 * pair < length ? nibble(values[from + 2 * pair], inverse) : 8) | 0x80;
      }
    }
  }
}

/**
 * 1 / scale in f64. A product with it, rounded to f32, is the f32 quotient bit for bit: a weight has 24 significant bits and a
 * scale 11, so a quotient is never closer than 2^-37 of itself to where f32 rounding turns, and the product is off by 2^-52.
 */
const inverseOf = (bits: number): number => ((bits & 0x7fff) === 0 ? 0 : 1 / f16Value(bits));

function nibble(value: number, inverse: number): number {
  const q = Math.fround(value * inverse) + ROUND - ROUND;
  return (q < -8 ? -8 : q > 7 ? 7 : q) + 8;
}

function quantize8(values: Float32Array, rows: number, cols: number, groups: number, data: Uint8Array, scales: Uint16Array): void {
  const words = wordsOf(values);
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      const from = row * cols + group * GROUP;
      const length = Math.min(GROUP, cols - group * GROUP);
      const bits = f16Bits(Math.abs(largestOf(values, words, from, length)) / 127);
      scales[row * groups + group] = bits;
      const inverse = inverseOf(bits);
      const at = (row * groups + group) * GROUP;
      for (let i = 0; i < length; i++) {
        const q = Math.fround(values[from + i] * inverse) + ROUND - ROUND;
        data[at + i] = q < -127 ? -127 : q > 127 ? 127 : q;
      }
    }
  }
}

/** The weights that the integers stand for: q * scale, [rows, cols] in f32. The plain reference of every kernel that reads them. */
export function dequantizeRows(quantized: QuantizedRows, rows: number, cols: number, kind: 'q8' | 'q4'): Float32Array {
  const groups = groupsOf(cols);
  const scales = f16ToF32(quantized.scales);
  const out = new Float32Array(rows * cols);
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const index = row * groups * GROUP + col;
      const byte = quantized.data[kind === 'q4' ? Math.floor(index / 2) : index];
      const q = kind === 'q4' ? (index % 2 === 0 ? byte & 15 : byte >> 4) - 8 : (byte << 24) >> 24;
      out[row * cols + col] = q * scales[row * groups + Math.floor(col / GROUP)];
    }
  }
  return out;
}
