export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Scores are multiplied by this. */
  readonly scale: number;
  /** The token itself and the window-1 tokens before it are seen; null: all before it. */
  readonly window: number | null;
}

/**
 * Attention of one token over a cache. q is [heads, headDim] starting at `qBase`, keys and values are [positions, kvHeads, headDim] with
 * the token's own row already appended at `position`; out is [heads, headDim] starting at `outBase`. Query head h reads key/value head
 * floor(h / (heads / kvHeads)). Scores, softmax (after subtracting the maximum) and sums are f64.
 */
export function attention(
  q: Float32Array,
  qBase: number,
  keys: Float32Array,
  values: Float32Array,
  position: number,
  shape: AttentionShape,
  out: Float32Array,
  outBase: number,
): void {
  const { heads, kvHeads, headDim, scale, window } = shape;
  const first = window === null ? 0 : Math.max(0, position - window + 1);
  const kvWidth = kvHeads * headDim;
  const group = heads / kvHeads;
  const weights = new Float64Array(position + 1 - first);
  const sums = new Float64Array(headDim);
  for (let h = 0; h < heads; h++) {
    const query = qBase + h * headDim;
    const kv = Math.floor(h / group) * headDim;
    let max = -Infinity;
    for (let p = first; p <= position; p++) {
      const key = p * kvWidth + kv;
      let dot = 0;
      for (let i = 0; i < headDim; i++) dot += q[query + i] * keys[key + i];
      dot *= scale;
      weights[p - first] = dot;
      if (dot > max) max = dot;
    }
    let total = 0;
    for (let j = 0; j < weights.length; j++) {
      weights[j] = Math.exp(weights[j] - max);
      total += weights[j];
    }
    sums.fill(0);
    for (let p = first; p <= position; p++) {
      const w = weights[p - first] / total;
      const value = p * kvWidth + kv;
      for (let i = 0; i < headDim; i++) sums[i] += w * values[value + i];
    }
    const target = outBase + h * headDim;
    for (let i = 0; i < headDim; i++) out[target + i] = sums[i];
  }
}
