import { classCounts } from './classes.ts';

/** A rule that opens for values on one side of a threshold, and how well it tells label 1 from label 0. */
export interface Threshold {
  /** Whether it opens for values above `threshold`, or for those below. */
  readonly above: boolean;
  readonly threshold: number;
  readonly f1: number;
  readonly accuracy: number;
}

/**
 * The best threshold on either side, over the midpoints between neighbouring values and both ends. Among equally good ones that with the widest gap around
 * it, then `above`, then the lowest. O(n log n).
 * @throws stats/argument, stats/one-class
 */
export function bestThreshold(values: ArrayLike<number>, labels: ArrayLike<number>, goal: 'f1' | 'accuracy' = 'f1'): Threshold {
  const { positive, negative } = classCounts(values, labels, 'a threshold');
  const order = Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a] - values[b] || a - b);
  const lowest = values[order[0]];
  const highest = values[order[order.length - 1]];
  const margin = (value: number): number => 1e-3 * Math.max(1, Math.abs(value));
  let best: Threshold | null = null;
  let bestGap = 0;
  // Below the threshold so far, by class.
  let [ones, zeros] = [0, 0];
  const consider = (threshold: number, gap: number): void => {
    for (const above of [true, false]) {
      const hit = above ? positive - ones : ones;
      const miss = above ? negative - zeros : zeros;
      const f1 = (2 * hit) / (hit + miss + positive);
      const accuracy = (hit + negative - miss) / (positive + negative);
      const found = { above, threshold, f1, accuracy };
      const better = best === null ? 1 : found[goal] - best[goal] || gap - bestGap;
      if (better > 0) [best, bestGap] = [found, gap];
    }
  };
  consider(lowest - margin(lowest), 0);
  for (let i = 0; i < order.length;) {
    const value = values[order[i]];
    for (; i < order.length && values[order[i]] === value; i++) {
      if (labels[order[i]] === 1) ones++;
      else zeros++;
    }
    if (i < order.length) {
      const next = values[order[i]];
      const middle = value + (next - value) / 2;
      consider(middle, next - value);
    }
  }
  consider(highest + margin(highest), 0);
  return best!;
}
