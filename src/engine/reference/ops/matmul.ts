/**
 * out[r, o] = bias[o] + sum over i of x[r, i] * weight[o, i].
 * x is [rows, inputs], weight [outputs, inputs] as in the files, bias [outputs] or null, out [rows, outputs]. Accumulators are f64 and
 * each output is summed in index order, so a row's result does not depend on the rows beside it.
 * Four outputs and two rows at a time share each load: the loop is bound by loads, and more accumulators than eight no longer fit the
 * registers. `first` and `last` limit the outputs, so that a caller can pause inside a large product.
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
    let r = 0;
    for (; r + 2 <= rows; r += 2) twoRows(x, r, weight, bias, o, inputs, outputs, out);
    if (r < rows) oneRow(x, r, weight, bias, o, inputs, outputs, out);
  }
  for (; o < last; o++) {
    for (let r = 0; r < rows; r++) {
      let sum = 0;
      for (let i = 0; i < inputs; i++) sum += weight[o * inputs + i] * x[r * inputs + i];
      out[r * outputs + o] = bias ? sum + bias[o] : sum;
    }
  }
}

/** Outputs o to o+3 of row r. */
function oneRow(
  x: Float32Array,
  r: number,
  weight: Float32Array,
  bias: Float32Array | null,
  o: number,
  inputs: number,
  outputs: number,
  out: Float32Array,
): void {
  const base = r * inputs;
  const w0 = o * inputs;
  const w1 = w0 + inputs;
  const w2 = w1 + inputs;
  const w3 = w2 + inputs;
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
  if (bias) {
    a0 += bias[o];
    a1 += bias[o + 1];
    a2 += bias[o + 2];
    a3 += bias[o + 3];
  }
  const target = r * outputs + o;
  out[target] = a0;
  out[target + 1] = a1;
  out[target + 2] = a2;
  out[target + 3] = a3;
}

/** Outputs o to o+3 of rows r and r+1. */
function twoRows(
  x: Float32Array,
  r: number,
  weight: Float32Array,
  bias: Float32Array | null,
  o: number,
  inputs: number,
  outputs: number,
  out: Float32Array,
): void {
  const x0 = r * inputs;
  const x1 = x0 + inputs;
  const w0 = o * inputs;
  const w1 = w0 + inputs;
  const w2 = w1 + inputs;
  const w3 = w2 + inputs;
  let a0 = 0;
  let a1 = 0;
  let a2 = 0;
  let a3 = 0;
  let b0 = 0;
  let b1 = 0;
  let b2 = 0;
  let b3 = 0;
  for (let i = 0; i < inputs; i++) {
    const v = x[x0 + i];
    const u = x[x1 + i];
    const p0 = weight[w0 + i];
    const p1 = weight[w1 + i];
    const p2 = weight[w2 + i];
    const p3 = weight[w3 + i];
    a0 += p0 * v;
    a1 += p1 * v;
    a2 += p2 * v;
    a3 += p3 * v;
    b0 += p0 * u;
    b1 += p1 * u;
    b2 += p2 * u;
    b3 += p3 * u;
  }
  if (bias) {
    a0 += bias[o];
    a1 += bias[o + 1];
    a2 += bias[o + 2];
    a3 += bias[o + 3];
    b0 += bias[o];
    b1 += bias[o + 1];
    b2 += bias[o + 2];
    b3 += bias[o + 3];
  }
  const top = r * outputs + o;
  const bottom = top + outputs;
  out[top] = a0;
  out[top + 1] = a1;
  out[top + 2] = a2;
  out[top + 3] = a3;
  out[bottom] = b0;
  out[bottom + 1] = b1;
  out[bottom + 2] = b2;
  out[bottom + 3] = b3;
}
