/**
 * out[r, o] = bias[o] + sum over i of x[r, i] * weight[o, i].
 * x is [rows, inputs], weight [outputs, inputs] as in the files, bias [outputs] or null, out [rows, outputs]. Accumulators are f64 and
 * each output is summed in index order, so a row's result does not depend on the rows beside it.
 * Four outputs at a time share each load of x; each block of weights is used for every row while it is in the processor's cache.
 * `first` and `last` limit the outputs, so that a caller can pause inside a large product.
 */
export function matmul(
  x: Float32Array,
  rows: number,
  weight: Float32Array,
  bias: Float32Array | null,
  inputs: number,
  outputs: number,
  out: Float32Array,
  first = 0,
  last = outputs,
): void {
  let o = first;
  for (; o + 4 <= last; o += 4) {
    const w0 = o * inputs;
    const w1 = w0 + inputs;
    const w2 = w1 + inputs;
    const w3 = w2 + inputs;
    for (let r = 0; r < rows; r++) {
      const base = r * inputs;
      let a0 = 0;
      let a1 = 0;
      let a2 = 0;
      let a3 = 0;
      for (let i = 0; i < inputs; i++) {
        const v = x[base + i];
        a0 += weight[w0 + i] * v;
        a1 += weight[w1 + i] * v;
        a2 += weight[w2 + i] * v;
        a3 += weight[w3 + i] * v;
      }
      const target = r * outputs + o;
      if (bias) {
        a0 += bias[o];
        a1 += bias[o + 1];
        a2 += bias[o + 2];
        a3 += bias[o + 3];
      }
      out[target] = a0;
      out[target + 1] = a1;
      out[target + 2] = a2;
      out[target + 3] = a3;
    }
  }
  for (; o < last; o++) {
    const w0 = o * inputs;
    for (let r = 0; r < rows; r++) {
      const base = r * inputs;
      let a0 = 0;
      for (let i = 0; i < inputs; i++) a0 += weight[w0 + i] * x[base + i];
      out[r * outputs + o] = bias ? a0 + bias[o] : a0;
    }
  }
}
