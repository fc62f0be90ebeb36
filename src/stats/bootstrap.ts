import { TillerError } from '../errors/error.ts';
import { sortedQuantile } from './quantile.ts';

export interface BootstrapOptions {
  /** Uniform numbers in [0, 1), seeded. */
  readonly random: () => number;
  /** @default 2000 */
  readonly resamples?: number;
  /** @default 0.95 */
  readonly level?: number;
}

/** A statistic with its percentile interval. */
export interface BootstrapInterval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly units: number;
  /** Resamples that gave a finite value; those that did not (a class was missing, say) were left out. */
  readonly resamples: number;
  readonly undefinedResamples: number;
}

/**
 * Percentile bootstrap over units: `statistic` is given the indices of the units drawn, with repetition, and is called once with all of them for
 * `value`. A unit is what was drawn independently: a question, a document.
 * @throws stats/rows without units, stats/argument for a count of resamples below 1, a level outside (0, 1), or a statistic that is never finite
 */
export function bootstrap(units: number, statistic: (indices: Int32Array) => number, options: BootstrapOptions): BootstrapInterval {
  const { random, resamples = 2000, level = 0.95 } = options;
  if (!(units >= 1)) throw new TillerError('stats/rows', { what: 'a bootstrap interval', needed: 1, got: units });
  if (!(Number.isInteger(resamples) && resamples >= 1)) throw new TillerError('stats/argument', { problem: `${resamples} resamples` });
  if (!(level > 0 && level < 1))
    throw new TillerError('stats/argument', { problem: `the level of an interval is ${level}, not between 0 and 1` });
  const indices = Int32Array.from({ length: units }, (_, i) => i);
  const value = statistic(indices);
  const found = new Float64Array(resamples);
  let count = 0;
  for (let r = 0; r < resamples; r++) {
    for (let i = 0; i < units; i++) indices[i] = Math.floor(random() * units);
    const one = statistic(indices);
    if (Number.isFinite(one)) found[count++] = one;
  }
  if (count === 0 || !Number.isFinite(value)) throw new TillerError('stats/argument', { problem: 'the statistic has no finite value' });
  const sorted = found.subarray(0, count).sort();
  const tail = (1 - level) / 2;
  return {
    value,
    low: sortedQuantile(sorted, tail),
    high: sortedQuantile(sorted, 1 - tail),
    units,
    resamples: count,
    undefinedResamples: resamples - count,
  };
}

/** Bootstrap of the mean. @throws stats/rows */
export const bootstrapMean = (values: ArrayLike<number>, options: BootstrapOptions): BootstrapInterval =>
  bootstrap(values.length, (indices) => indices.reduce((sum, i) => sum + values[i], 0) / indices.length, options);

/** Bootstrap of the mean of a - b, unit by unit. @throws stats/rows, stats/argument for unequal lengths */
export function bootstrapDifference(a: ArrayLike<number>, b: ArrayLike<number>, options: BootstrapOptions): BootstrapInterval {
  if (a.length !== b.length) throw new TillerError('stats/argument', { problem: `${a.length} units cannot be paired with ${b.length}` });
  return bootstrapMean(
    Float64Array.from(a, (value, i) => value - b[i]),
    options,
  );
}
