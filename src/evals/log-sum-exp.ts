/** ln of the sum of exponentials, without overflow; -Infinity of nothing. */
export function logSumExp(values: readonly number[]): number {
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (most === -Infinity) return -Infinity;
  return most + Math.log(values.reduce((total, value) => total + Math.exp(value - most), 0));
}
