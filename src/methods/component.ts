import { principalComponents } from '../stats/principal-components.ts';

/**
 * The direction in which rows vary most, of length 1 and either sign, with its share of the variance; null where they do not vary.
 * @param matrix n x width
 */
export function firstComponent(
  matrix: Float64Array,
  n: number,
  width: number,
  subtractMean: boolean,
): { readonly direction: Float64Array; readonly explained: number } | null {
  const { directions, explained, count } = principalComponents(matrix, n, width, 1, subtractMean);
  return count === 0 ? null : { direction: directions.subarray(0, width), explained: explained[0] };
}
