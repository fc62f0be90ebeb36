import { mean as average, standardDeviation } from '../stats/moments.ts';

/**
 * Directions in the columns [start, start + width) of row-major activations. Sums are f64, over rows in the order given, so equal
 * rows in equal order give equal bits; results are f64 until they become a graph's f32 vectors.
 */
export interface Slice {
  readonly data: Float32Array;
  /** Numbers a row of `data`. */
  readonly stride: number;
  readonly start: number;
  readonly width: number;
}

/** Mean of the rows given: `width` numbers; zeros where there are no rows. */
export function mean({ data, stride, start, width }: Slice, rows: readonly number[]): Float64Array {
  const sum = new Float64Array(width);
  for (const row of rows) {
    const at = row * stride + start;
    for (let i = 0; i < width; i++) sum[i] += data[at + i];
  }
  if (rows.length > 0) for (let i = 0; i < width; i++) sum[i] /= rows.length;
  return sum;
}

/** mean(positive) - mean(negative). */
export function meanDifference(slice: Slice, positive: readonly number[], negative: readonly number[]): Float64Array {
  const difference = mean(slice, positive);
  const other = mean(slice, negative);
  for (let i = 0; i < difference.length; i++) difference[i] -= other[i];
  return difference;
}

export function length(vector: ArrayLike<number>): number {
  let square = 0;
  for (let i = 0; i < vector.length; i++) square += vector[i] * vector[i];
  return Math.sqrt(square);
}

/** vector / |vector|, or null where the length is 0 or not finite. */
export function unit(vector: ArrayLike<number>): Float64Array | null {
  const size = length(vector);
  return size > 0 && Number.isFinite(size) ? Float64Array.from(vector, (value) => value / size) : null;
}

/** x . direction of each row given. */
export function project({ data, stride, start, width }: Slice, rows: readonly number[], direction: ArrayLike<number>): Float64Array {
  const out = new Float64Array(rows.length);
  rows.forEach((row, index) => {
    const at = row * stride + start;
    let sum = 0;
    for (let i = 0; i < width; i++) sum += data[at + i] * direction[i];
    out[index] = sum;
  });
  return out;
}

/** Mean and standard deviation (divisor n) of numbers; zeros where there are none. */
export function spread(values: ArrayLike<number>): { readonly mean: number; readonly deviation: number } {
  return values.length === 0 ? { mean: 0, deviation: 0 } : { mean: average(values), deviation: standardDeviation(values, 0) };
}
