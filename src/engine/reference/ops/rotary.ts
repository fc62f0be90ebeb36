/**
 * Rotary embedding of one token's heads, in place. x is [heads, headDim] starting at `base`; cos and sin are [positions, headDim / 2].
 * Dimension i is paired with i + headDim / 2 (the Hugging Face layout).
 */
export function rotary(
  x: Float32Array,
  base: number,
  heads: number,
  headDim: number,
  cos: Float32Array,
  sin: Float32Array,
  position: number,
): void {
  const half = headDim / 2;
  const row = position * half;
  for (let h = 0; h < heads; h++) {
    const start = base + h * headDim;
    for (let i = 0; i < half; i++) {
      const c = cos[row + i];
      const s = sin[row + i];
      const a = x[start + i];
      const b = x[start + half + i];
      x[start + i] = a * c - b * s;
      x[start + half + i] = b * c + a * s;
    }
  }
}
