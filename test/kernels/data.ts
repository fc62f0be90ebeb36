import { hash, uniform } from '../../src/engine/random.ts';

/** Numbers that are the same in every run: the stream of `seed`, standard normal (Box-Muller) times `scale`. */
export function normals(seed: number, count: number, scale = 1): Float32Array<ArrayBuffer> {
  const out = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const radius = Math.sqrt(-2 * Math.log(uniform(hash(seed, i, 0))));
    out[i] = scale * radius * Math.cos(2 * Math.PI * uniform(hash(seed, i, 1)));
  }
  return out;
}

/** Rows of `width` values each, laid out with `stride` values a row; what lies between is `fill`. */
export function strided(rows: readonly Float32Array[], stride: number, fill = 0): Float32Array<ArrayBuffer> {
  const out = new Float32Array(rows.length * stride).fill(fill);
  rows.forEach((row, r) => out.set(row, r * stride));
  return out;
}

/** A width padded to a multiple of 32, as activations are. */
export const padded = (width: number): number => Math.ceil(width / 32) * 32;

/** Largest |a - b| / (1 + |b|). */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i] - expected[i]) / (1 + Math.abs(expected[i]));
    if (!(d <= worst)) worst = Number.isNaN(d) ? Infinity : d;
  }
  return worst;
}
