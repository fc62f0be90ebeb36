import { gumbel, hashPosition, hashToken } from '../../random.ts';

export interface SamplingRule {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
}

/** Index of the largest value, the lowest on ties. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

/** The logit that a token must reach to be kept: top-k first, then top-p, ties at a threshold kept. -Infinity when all are kept. */
export function keepThreshold(logits: Float32Array, rule: SamplingRule): number {
  const { temperature, topK, topP } = rule;
  const limited = topK > 0 && topK < logits.length;
  if (!limited && topP >= 1) return -Infinity;
  const sorted = logits.slice().sort().reverse();
  const least = limited ? sorted[topK - 1] : -Infinity;
  if (topP >= 1) return least;
  let total = 0;
  for (const value of sorted) {
    if (value < least) break;
    total += Math.exp((value - sorted[0]) / temperature);
  }
  let sum = 0;
  for (const value of sorted) {
    sum += Math.exp((value - sorted[0]) / temperature);
    if (sum >= topP * total) return Math.max(value, least);
  }
  return least;
}

/**
 * The next token after `position`: src/engine/random.ts states the rule. logits is [vocab].
 */
export function sample(logits: Float32Array, rule: SamplingRule, seed: number, position: number): number {
  if (rule.temperature === 0) return argmax(logits);
  const threshold = keepThreshold(logits, rule);
  const row = hashPosition(seed, position);
  let best = -1;
  let bestValue = -Infinity;
  for (let token = 0; token < logits.length; token++) {
    if (!(logits[token] >= threshold)) continue;
    const value = logits[token] / rule.temperature + gumbel(hashToken(row, token));
    if (best < 0 || value > bestValue) {
      best = token;
      bestValue = value;
    }
  }
  return Math.max(best, 0);
}
