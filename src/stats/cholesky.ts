/**
 * Lower triangle L of a = L L^T, over a's own lower triangle (n x n, row-major, in place). False where a is not positive definite in f64; `a`
 * is spoilt then.
 */
export function choleskyFactor(a: Float64Array, n: number): boolean {
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = a[i * n + j];
      for (let k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      if (i === j) {
        if (!(sum > 0) || sum === Infinity) return false;
        a[j * n + j] = Math.sqrt(sum);
      } else {
        a[i * n + j] = sum / a[j * n + j];
      }
    }
  }
  return true;
}

/** Solves L L^T x = b in place of b. */
export function choleskySolve(l: Float64Array, n: number, b: Float64Array): void {
  for (let i = 0; i < n; i++) {
    let sum = b[i];
    for (let k = 0; k < i; k++) sum -= l[i * n + k] * b[k];
    b[i] = sum / l[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    const value = b[i] / l[i * n + i];
    b[i] = value;
    // By rows of L: its columns lie far apart.
    for (let k = 0; k < i; k++) b[k] -= l[i * n + k] * value;
  }
}
