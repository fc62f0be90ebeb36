export function component(
  matrix: Float64Array,
  n: number,
  width: number,
  subtractMean: boolean,
): { direction: Float64Array; explained: number } | null {
  const rows = matrix.slice();
  if (subtractMean)
    for (let i = 0; i < width; i++) {
      let sum = 0;
      for (let r = 0; r < n; r++) sum += rows[r * width + i];
      for (let r = 0; r < n; r++) rows[r * width + i] -= sum / n;
    }
  const total = rows.reduce((s, v) => s + v * v, 0);
  if (total < 1e-20) return null;
  let v = Float64Array.from({ length: width }, (_, i) => 1 + Math.sin(i));
  let value = 0;
  for (let it = 0; it < 3000; it++) {
    const next = new Float64Array(width);
    for (let r = 0; r < n; r++) {
      let d = 0;
      for (let i = 0; i < width; i++) d += rows[r * width + i] * v[i];
      for (let i = 0; i < width; i++) next[i] += d * rows[r * width + i];
    }
    const size = Math.hypot(...next);
    value = size;
    for (let i = 0; i < width; i++) next[i] /= size;
    v = next;
  }
  return { direction: v, explained: value / total };
}
function solve(a: Float64Array, b: Float64Array): Float64Array {
  const n = b.length;
  const m = a.slice();
  const x = b.slice();
  for (let k = 0; k < n; k++) {
    for (let i = k + 1; i < n; i++) {
      const f = m[i * n + k] / m[k * n + k];
      for (let j = k; j < n; j++) m[i * n + j] -= f * m[k * n + j];
      x[i] -= f * x[k];
    }
  }
  for (let k = n - 1; k >= 0; k--) {
    for (let j = k + 1; j < n; j++) x[k] -= m[k * n + j] * x[j];
    x[k] /= m[k * n + k];
  }
  return x;
}
export function logistic(
  rows: readonly Float32Array[],
  labels: readonly (0 | 1)[],
  c: number,
): { weights: Float64Array; intercept: number; converged: boolean } {
  const d = rows[0].length;
  const w = new Float64Array(d + 1);
  for (let it = 0; it < 50; it++) {
    const g = new Float64Array(d + 1);
    const h = new Float64Array((d + 1) * (d + 1));
    for (let i = 0; i < d; i++) {
      g[i] = w[i] / c;
      h[i * (d + 1) + i] = 1 / c;
    }
    h[(d + 1) * (d + 1) - 1] = 1e-12;
    rows.forEach((row, at) => {
      const x = [...row, 1];
      const p = 1 / (1 + Math.exp(-x.reduce((s, value, i) => s + value * w[i], 0)));
      for (let i = 0; i <= d; i++) {
        g[i] += (p - labels[at]) * x[i];
        for (let j = 0; j <= d; j++) h[i * (d + 1) + j] += p * (1 - p) * x[i] * x[j];
      }
    });
    const step = solve(h, g);
    for (let i = 0; i <= d; i++) w[i] -= step[i];
    if (Math.hypot(...g) < 1e-9) return { weights: w.slice(0, d), intercept: w[d], converged: true };
  }
  return { weights: w.slice(0, d), intercept: w[d], converged: false };
}
