/**
 * Which candidate direction is ablated: the rules of the refusal-direction work as pure functions of what somebody who has an engine
 * measured (Arditi et al. 2024, Refusal in Language Models Is Mediated by a Single Direction, section 2.3 and appendix C).
 */

/** One candidate as measured. */
export interface AblationCandidate {
  readonly layer: number;
  /** Mean of `behaviourScore` over texts that show the behaviour, with the direction ablated: low where the behaviour is gone. */
  readonly ablated: number;
  /** Mean of `behaviourScore` over texts that do not show it, with the direction added: at least 0 where it can be brought about. */
  readonly induced: number;
  /** Mean KL(unedited || ablated) at the last position of texts that do not show it, nats. */
  readonly kl: number;
}

export interface SelectionRules {
  /** Share of the depth from which on layers are left out. @default 0.8 */
  readonly depth: number;
  /** Nats. @default 0.1 */
  readonly kl: number;
  /** Least score when the direction is added. @default 0 */
  readonly induced: number;
}

export const publishedRules: SelectionRules = { depth: 0.8, kl: 0.1, induced: 0 };

export interface Selection {
  /** Index into the candidates; null where every one was dropped. */
  readonly chosen: number | null;
  /** By candidate, why it was dropped; null where it was not. */
  readonly dropped: readonly (string | null)[];
}

/**
 * log P(behaviour) - log(1 - P(behaviour)) in nats, where P is the probability that the next token is one that begins the behaviour
 * ("I" of "I cannot", say). Both are bounded away from 0 by 1e-8, as published.
 * @param probability between 0 and 1
 */
export function behaviourScore(probability: number): number {
  const least = 1e-8;
  return Math.log(probability + least) - Math.log(1 - probability + least);
}

/** Of the candidates that break no rule the one with the lowest score when ablated; the first of equals. Numbers that are not finite break a rule. */
export function selectAblation(
  candidates: readonly AblationCandidate[],
  layers: number,
  rules: SelectionRules = publishedRules,
): Selection {
  const dropped = candidates.map((candidate) => problemOf(candidate, layers, rules));
  let chosen: number | null = null;
  candidates.forEach(({ ablated }, index) => {
    if (dropped[index] === null && (chosen === null || ablated < candidates[chosen].ablated)) chosen = index;
  });
  return { chosen, dropped };
}

function problemOf({ layer, ablated, induced, kl }: AblationCandidate, layers: number, rules: SelectionRules): string | null {
  if (layer >= rules.depth * layers) return `layer ${layer} lies at ${Math.round(rules.depth * 100)} % of the depth or above`;
  if (![ablated, induced, kl].every(Number.isFinite)) return 'a measurement is not a finite number';
  if (kl > rules.kl) return `it changes other texts too much: KL ${kl.toPrecision(3)}, at most ${rules.kl}`;
  if (induced < rules.induced)
    return `adding it does not bring the behaviour about: score ${induced.toPrecision(3)}, at least ${rules.induced}`;
  return null;
}
