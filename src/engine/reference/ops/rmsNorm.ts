/**
 * RMSNorm, row by row: out[r, i] = x[r, i] / sqrt(mean(x[r]^2) + eps) * (offset + weight[i]).
 * x and out are [rows, width] and may be the same array; weight is [width]. A head norm is this with rows = tokens x heads, width = headDim.
 */
export function rmsNorm(
  x: Float32Array,
  weight: Float32Array,
  eps: number,
  offset: number,
  rows: number,
  width: number,
  out: Float32Array,
): void {
  for (let r = 0; r < rows; r++) {
    const base = r * width;
    let sum = 0;
    for (let i = 0; i < width; i++) sum += x[base + i] * x[base + i];
    const scale = 1 / Math.sqrt(sum / width + eps);
    for (let i = 0; i < width; i++) out[base + i] = x[base + i] * scale * (offset + weight[i]);
  }
}
