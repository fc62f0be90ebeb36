import { TillerError } from '../errors/error.ts';
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
  const units = sums.length;
  if (units === 0) throw new TillerError('eval/units', { what: 'unit to estimate anything from' });
  const draw = generator(seed);
  const found = new Float64Array(resamples);
  for (let r = 0; r < resamples; r += 1) {
    let top = 0;
    let bottom = 0;
    for (let i = 0; i < units; i += 1) {
      const unit = Math.floor(draw() * units);
      top += sums[unit];
      bottom += sizes[unit];
    }
    found[r] = top / bottom;
  }
  found.sort();
  const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  return { value: total(sums) / total(sizes), interval: [quantile(found, 0.025), quantile(found, 0.975)], units };
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

/** Linear between order statistics. */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
