/** ln of the sum of exponentials, without overflow; -Infinity of nothing. */
export function logSumExp(values: ArrayLike<number>): number {
  let most = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  if (most === -Infinity || most === Infinity) return most;
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.exp(values[i] - most);
  return most + Math.log(sum);
}

/** exp(value) divided by their sum. Finite numbers, or -Infinity for what is impossible (not all of them). */
export function softmax(values: ArrayLike<number>): Float64Array {
  let most = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  const out = Float64Array.from(values, (value) => Math.exp(value - most));
  const sum = out.reduce((total, value) => total + value, 0);
  return out.map((value) => value / sum);
}
