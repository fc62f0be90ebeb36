/**
 * The metric of Pres et al. (2024) on likelihoods of wanted and unwanted continuations: by how much wanted ones are promoted and
 * unwanted ones suppressed, among those that the unedited model treats worst. Scores are log-probabilities per token or sums, nats,
 * below 0; every list is by item.
 */

/**
 * What scores are divided by before they are compared. `own`: each condition by its own likeliest continuation, as published; one text
 * then sets the scale, and a condition under which everything is equally less likely seems to promote. `control`: both by the unedited
 * model's likeliest. `none`: not divided, nats.
 */
export type Normalizer = 'own' | 'control' | 'none';
export const normalizers = ['own', 'control', 'none'] as const satisfies readonly Normalizer[];

export interface PairScores {
  readonly wanted: readonly number[];
  readonly unwanted: readonly number[];
}

/** Shares of the items, hardest first, that the metric is given for. */
export const promotionShares = [0.25, 0.5, 0.75, 1] as const;

export interface Promotion {
  readonly share: number;
  /** Mean rise of wanted continuations, those that the unedited model likes least first; null where the share holds no item. */
  readonly promote: number | null;
  /** Mean fall of unwanted continuations, those that the unedited model likes most first. */
  readonly suppress: number | null;
}

export function promotion(control: PairScores, edited: PairScores, normalizer: Normalizer): Promotion[] {
  const best = (scores: PairScores): number => Math.abs([...scores.wanted, ...scores.unwanted].reduce((a, b) => Math.max(a, b), -Infinity));
  const controlScale = normalizer === 'none' ? 1 : best(control);
  const editedScale = normalizer === 'own' ? best(edited) : controlScale;
  const rise = (before: readonly number[], after: readonly number[], order: (a: number, b: number) => number): number[] =>
    before
      .map((score, i) => ({ score, change: after[i] / editedScale - score / controlScale, i }))
      .sort((a, b) => order(a.score, b.score) || a.i - b.i)
      .map(({ change }) => change);
  const promoted = rise(control.wanted, edited.wanted, (a, b) => a - b);
  const suppressed = rise(control.unwanted, edited.unwanted, (a, b) => b - a).map((change) => -change);
  return promotionShares.map((share) => ({ share, promote: meanOfFirst(promoted, share), suppress: meanOfFirst(suppressed, share) }));
}

function meanOfFirst(values: readonly number[], share: number): number | null {
  const count = Math.floor(values.length * share);
  if (count === 0) return null;
  return values.slice(0, count).reduce((a, b) => a + b, 0) / count;
}
