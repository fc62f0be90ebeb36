import { TillerError } from '../errors/error.ts';

/** Mean of at least one number. @throws stats/rows */
export function mean(values: ArrayLike<number>): number {
  if (values.length === 0) throw new TillerError('stats/rows', { what: 'a mean', needed: 1, got: 0 });
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

/**
 * Sum of squares about the mean, divided by n - ddof, in two passes.
 * @param ddof 0 describes these numbers (NumPy's default), 1 estimates the variance they were drawn with
 * @throws stats/rows with fewer than 1 + ddof numbers
 */
export function variance(values: ArrayLike<number>, ddof: 0 | 1): number {
  const n = values.length;
  if (n < 1 + ddof) throw new TillerError('stats/rows', { what: 'a variance', needed: 1 + ddof, got: n });
  const centre = mean(values);
  let square = 0;
  for (let i = 0; i < n; i++) square += (values[i] - centre) ** 2;
  return square / (n - ddof);
}

/** Square root of `variance`. @throws stats/rows */
export const standardDeviation = (values: ArrayLike<number>, ddof: 0 | 1): number => Math.sqrt(variance(values, ddof));
