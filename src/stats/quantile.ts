import { TillerError } from '../errors/error.ts';

/**
 * Quantile by linear interpolation between order statistics (NumPy's default, type 7 of Hyndman and Fan).
 * @param share in [0, 1]
 * @throws stats/rows for no numbers, stats/argument for a share outside [0, 1]
 */
export const quantile = (values: ArrayLike<number>, share: number): number => sortedQuantile(Float64Array.from(values).sort(), share);

/** `quantile` of numbers in ascending order. */
export function sortedQuantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) throw new TillerError('stats/rows', { what: 'a quantile', needed: 1, got: 0 });
  if (!(share >= 0 && share <= 1))
    throw new TillerError('stats/argument', { problem: `the share of a quantile is ${share}, not in 0 to 1` });
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}
