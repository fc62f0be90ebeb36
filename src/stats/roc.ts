import { classCounts } from './classes.ts';

/** A point of the curve: what calling every score >= `threshold` positive would give. */
export interface RocPoint {
  /** Infinity at the first point, where nothing is called positive. */
  readonly threshold: number;
  readonly falsePositiveRate: number;
  readonly truePositiveRate: number;
}

export interface RocCurve {
  /** From (0, 0) to (1, 1); equal scores are one point. */
  readonly points: readonly RocPoint[];
  /** Area under the curve: the chance that a positive scores above a negative, ties counting half. */
  readonly auc: number;
}

/**
 * Receiver operating characteristic of scores against labels of 0 and 1.
 * @throws stats/argument for unequal lengths, other labels or scores that are not numbers, stats/one-class
 */
export function rocCurve(scores: ArrayLike<number>, labels: ArrayLike<number>): RocCurve {
  const { positive, negative } = classCounts(scores, labels, 'a ROC curve');
  const order = Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
  const points: RocPoint[] = [{ threshold: Infinity, falsePositiveRate: 0, truePositiveRate: 0 }];
  let [right, wrong, area] = [0, 0, 0];
  for (let i = 0; i < order.length;) {
    const threshold = scores[order[i]];
    const [rightBefore, wrongBefore] = [right, wrong];
    for (; i < order.length && scores[order[i]] === threshold; i++) {
      if (labels[order[i]] === 1) right++;
      else wrong++;
    }
    area += ((wrong - wrongBefore) * (right + rightBefore)) / 2;
    points.push({ threshold, falsePositiveRate: wrong / negative, truePositiveRate: right / positive });
  }
  return { points, auc: area / (positive * negative) };
}
