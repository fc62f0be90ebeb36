import { TillerError } from '../errors/error.ts';
import { bootstrap } from '../stats/bootstrap.ts';
import { seededRandom } from '../stats/random.ts';
import type { Estimate } from './condition.ts';

/** How intervals are made: percentile bootstrap over units. The same seed draws the same units for every estimate of as many. */
export interface Resampling {
  readonly seed: number;
  /** @default 2,000 in `resampling` */
  readonly resamples: number;
}

export const resampling = (seed: number, resamples = 2000): Resampling => ({ seed, resamples });

/** The mean over units. @throws eval/units */
export function meanEstimate(values: readonly number[], given: Resampling): Estimate {
  return ratioEstimate(
    values,
    values.map(() => 1),
    given,
  );
}

/** The mean of differences, unit by unit. @throws eval/units */
export function differenceEstimate(values: readonly number[], base: readonly number[], given: Resampling): Estimate {
  return meanEstimate(
    values.map((value, i) => value - base[i]),
    given,
  );
}

/** A sum over units divided by the sum of their sizes: a mean over tokens of documents. @throws eval/units */
export function ratioEstimate(sums: readonly number[], sizes: readonly number[], { seed, resamples }: Resampling): Estimate {
  if (sums.length === 0) throw new TillerError('eval/units', { what: 'unit to estimate anything from' });
  const ratio = (units: Int32Array): number => {
    let top = 0;
    let bottom = 0;
    for (const unit of units) {
      top += sums[unit];
      bottom += sizes[unit];
    }
    return top / bottom;
  };
  const { value, low, high, units } = bootstrap(sums.length, ratio, { random: seededRandom(seed), resamples });
  return { value, interval: [low, high], units };
}

/** The same ratio less that of other sums over the same units. @throws eval/units */
export function ratioDifferenceEstimate(
  sums: readonly number[],
  base: readonly number[],
  sizes: readonly number[],
  given: Resampling,
): Estimate {
  return ratioEstimate(
    sums.map((value, i) => value - base[i]),
    sizes,
    given,
  );
}
