import { f16Value, f32ToF16 } from '../../src/formats/float16.ts';

/** Integers, scales and zero points of a matrix [rows, cols], and the weights that they stand for. */
export interface Quantized {
  readonly q: Int32Array;
  readonly scales: Float32Array;
  readonly zeros: Int32Array;
  readonly values: Float32Array;
}

const half = (value: number): number => f16Value(f32ToF16(Float32Array.of(value))[0]);

/** One group: scale, zero point and integers, as the published quantisers choose them. */
export function group(values: Float32Array, low: number, high: number, asymmetric: boolean, narrow: boolean): [Int32Array, number, number] {
  const round = narrow ? half : Math.fround;
  const clamp = (q: number): number => Math.max(low, Math.min(high, q));
  if (asymmetric) {
    const least = Math.min(0, ...values);
    const most = Math.max(0, ...values);
    const scale = round((most - least) / (high - low)) || 1;
    const zero = clamp(Math.round(low - least / scale));
    return [Int32Array.from(values, (value) => clamp(Math.round(value / scale) + zero)), scale, zero];
  }
  // The value of largest magnitude becomes the lowest integer, so scales are negative where it is positive.
  const largest = values.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
  const middle = (low + high + 1) / 2;
  const scale = round(largest / (low - middle)) || 1;
  return [Int32Array.from(values, (value) => clamp(Math.round(value / scale) + middle)), scale, middle];
}

export function quantized(
  values: Float32Array,
  rows: number,
  cols: number,
  block: number,
  bits: number,
  zeros: boolean,
  narrow: boolean,
): Quantized {
  const groups = Math.ceil(cols / block);
  const out = {
    q: new Int32Array(rows * cols),
    scales: new Float32Array(rows * groups),
    zeros: new Int32Array(rows * groups),
    values: new Float32Array(rows * cols),
  };
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < groups; at++) {
      const from = row * cols + at * block;
      const to = Math.min(row * cols + cols, from + block);
      const [q, scale, zero] = group(values.subarray(from, to), 0, 2 ** bits - 1, zeros, narrow);
      out.q.set(q, from);
      out.scales[row * groups + at] = scale;
      out.zeros[row * groups + at] = zero;
      q.forEach((one, i) => (out.values[from + i] = (one - zero) * scale));
    }
  }
  return out;
}

/** Numbers of `bits` bits, each row padded to whole bytes (or to `pitch`), the lowest bits first. */
export function packed(values: Int32Array, rows: number, cols: number, bits: number, pitch = Math.ceil((cols * bits) / 8)): Uint8Array {
  const out = new Uint8Array(rows * pitch);
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) out[row * pitch + ((col * bits) >> 3)] |= values[row * cols + col] << ((col * bits) & 7);
  }
  return out;
}

export const transposed = (values: Float32Array, rows: number, cols: number): Float32Array =>
  values.map((_, i) => values[(i % rows) * cols + Math.floor(i / rows)]);
