/**
 * The arithmetic of quick directions, on plain arrays: no model, no page. A "row" is one layer's or all layers' heads
 * side by side, `heads * headDim` values a layer.
 */

/** Length of each head's slice: rows of `headDim`. Gives one number a head. */
export function headNorms(values: Float32Array, headDim: number): Float32Array {
  const norms = new Float32Array(values.length / headDim);
  for (let head = 0; head < norms.length; head += 1) {
    let sum = 0;
    for (let i = 0; i < headDim; i += 1) sum += values[head * headDim + i] ** 2;
    norms[head] = Math.sqrt(sum);
  }
  return norms;
}

/** Root mean square over samples of each head's length. `samples` all have the same number of values. */
export function typicalNorms(samples: readonly Float32Array[], headDim: number): Float32Array {
  const heads = (samples[0]?.length ?? 0) / headDim;
  const squares = new Float64Array(heads);
  for (const sample of samples) {
    const norms = headNorms(sample, headDim);
    for (let head = 0; head < heads; head += 1) squares[head] += norms[head] ** 2;
  }
  return Float32Array.from(squares, (sum) => Math.sqrt(sum / Math.max(1, samples.length)));
}

/** Element-wise mean, in f64. */
export function meanOf(samples: readonly Float32Array[]): Float32Array {
  const sums = new Float64Array(samples[0]?.length ?? 0);
  for (const sample of samples) for (let i = 0; i < sums.length; i += 1) sums[i] += sample[i];
  return Float32Array.from(sums, (sum) => sum / Math.max(1, samples.length));
}

export const differenceOf = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, i) => value - b[i]);

/** Every head's slice stretched to the given length; a slice of zeros stays zeros. */
export function withNorms(values: Float32Array, lengths: Float32Array, headDim: number): Float32Array {
  const norms = headNorms(values, headDim);
  return values.map((value, i) => {
    const head = Math.floor(i / headDim);
    return norms[head] === 0 ? 0 : (value / norms[head]) * lengths[head];
  });
}

/** How long each head's difference is in units of its usual length; 0 where the head is silent. */
export function relevanceOf(difference: Float32Array, typical: Float32Array, headDim: number): Float32Array {
  return headNorms(difference, headDim).map((norm, head) => (typical[head] > 0 ? norm / typical[head] : 0));
}

/** A small seeded generator (mulberry32): uniform in [0, 1). */
export function seededUniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Gaussian directions, every head's slice of the given length. The same seed gives the same directions. */
export function randomDirections(seed: number, lengths: Float32Array, headDim: number): Float32Array {
  const uniform = seededUniform(seed);
  const values = Float32Array.from({ length: lengths.length * headDim }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    return radius * Math.cos(2 * Math.PI * uniform());
  });
  return withNorms(values, lengths, headDim);
}
