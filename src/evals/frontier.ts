/** Which of several conditions is worth its cost. All rules are deterministic and use nothing but the numbers given. */

/** A condition as effect and cost; the first point given is the unedited model, with gain and cost 0. */
export interface Tradeoff {
  /** Effect less the unedited model's, with its 95 % interval. */
  readonly gain: { readonly value: number; readonly interval: readonly [number, number] };
  /** KL in nats a token. */
  readonly kl: number;
}

/**
 * Indices of the points that no other one beats: none has at least the gain at no more cost, with one of the two strictly better. By
 * growing cost; of equal points the first.
 */
export function paretoFrontier(points: readonly Tradeoff[]): number[] {
  const order = points
    .map((_, index) => index)
    .sort((a, b) => points[a].kl - points[b].kl || points[b].gain.value - points[a].gain.value || a - b);
  const frontier: number[] = [];
  let best = -Infinity;
  for (const index of order) {
    if (!(points[index].gain.value > best)) continue;
    best = points[index].gain.value;
    frontier.push(index);
  }
  return frontier;
}

export interface Recommendation {
  /** Index into the points; 0, the unedited model, where nothing is worth its cost. */
  readonly index: number;
  readonly reason: string;
}

/**
 * The point to use. Only points count whose cost is within the budget and whose gain is above 0 with its whole interval; where there are
 * none, the unedited model is recommended. Among those on the frontier it is the knee: the point farthest above the chord from the
 * unedited model to the frontier's last point within the budget, both axes scaled to that chord. Where no point lies clearly above the
 * chord, each further nat of cost buys about as much as the first, and it is the last point with a proven gain.
 */
export function recommend(points: readonly Tradeoff[], klBudget: number): Recommendation {
  const affordable = points.map((_, index) => index).filter((index) => index > 0 && points[index].kl <= klBudget);
  if (affordable.length === 0) {
    const reason =
      points.length > 1 ? `Every setting costs more than ${show(klBudget)} nats a token.` : 'Nothing but the unedited model was measured.';
    return { index: 0, reason: `${reason} Nothing is recommended.` };
  }
  const proven = affordable.filter((index) => points[index].gain.interval[0] > 0);
  if (proven.length === 0) {
    return {
      index: 0,
      reason: `No setting that costs at most ${show(klBudget)} nats a token has a gain whose 95 % interval lies above 0. Nothing is recommended.`,
    };
  }
  const within = paretoFrontier([0, ...affordable].map((index) => points[index])).map((place) => [0, ...affordable][place]);
  const candidates = within.filter((index) => proven.includes(index));
  if (candidates.length === 0) {
    // A proven point may be off the frontier, beaten by one with a larger but less certain gain.
    const index = proven.reduce((best, one) => (points[one].gain.value > points[best].gain.value ? one : best));
    return { index, reason: `It has the largest gain whose 95 % interval lies above 0 within ${show(klBudget)} nats a token.` };
  }
  const end = points[within[within.length - 1]];
  const height = (index: number): number => points[index].gain.value / end.gain.value - (end.kl > 0 ? points[index].kl / end.kl : 0);
  const knee = candidates.reduce((best, one) => (height(one) > height(best) + 1e-12 ? one : best));
  if (height(knee) > clearlyAbove) {
    return {
      index: knee,
      reason: `It is the knee of the frontier within ${show(klBudget)} nats a token: beyond it, cost grows faster than the gain.`,
    };
  }
  const last = candidates[candidates.length - 1];
  return {
    index: last,
    reason: `It has the largest proven gain within ${show(klBudget)} nats a token, and up to it the gain grows about as fast as the cost.`,
  };
}

/** Share of the chord's gain by which a knee must stand out: less than that is within the noise of the estimates. */
const clearlyAbove = 0.1;

const show = (value: number): string => String(Number(value.toPrecision(3)));

/** What counts as falling apart, against the unedited model on the same texts. */
export const cliffLimits = {
  /** Mean KL, nats a token. */
  kl: 1,
  /** Rise of cross entropy, nats a token. */
  crossEntropyRise: 1,
  /** Rise of the share of samples that end in a loop. */
  looping: 0.25,
} as const;

export interface CliffPoint {
  readonly strength: number;
  readonly kl: number;
  readonly crossEntropyRise: number;
  /** Null where nothing was sampled. */
  readonly looping: number | null;
}

/**
 * The smallest strength, by size, at which the text falls apart; null where none does.
 * @param points conditions that differ in strength alone, all of one sign
 * @param looping of the unedited model
 */
export function cliff(points: readonly CliffPoint[], looping: number | null): number | null {
  const sorted = [...points].sort((a, b) => Math.abs(a.strength) - Math.abs(b.strength));
  const fallen = sorted.find(
    (point) =>
      point.kl > cliffLimits.kl ||
      point.crossEntropyRise > cliffLimits.crossEntropyRise ||
      (point.looping !== null && looping !== null && point.looping - looping > cliffLimits.looping),
  );
  return fallen?.strength ?? null;
}
