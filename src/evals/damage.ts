import type { Condition, Damage } from './condition.ts';
import { ratioDifferenceEstimate, ratioEstimate, type Resampling } from './estimate.ts';
import type { NeutralTexts } from './neutral-texts.ts';
import type { EvalRun } from './run.ts';
import { scoreTexts, type TextScore } from './score-texts.ts';

export interface DamageResult {
  readonly unedited: Damage;
  /** By condition. */
  readonly conditions: readonly Damage[];
  /** Edits that acted on the documents, by condition. */
  readonly edits: readonly number[];
  readonly notes: readonly string[];
}

/**
 * Cross entropy and KL(unedited || edited) over all positions of the same documents for all conditions: sums over tokens divided by
 * their number, with intervals over documents. The reference is the unedited model itself, never a model without its hooks.
 * @throws what Engine.score throws
 */
export async function measureDamage(
  neutral: NeutralTexts,
  conditions: readonly Condition[],
  resampling: Resampling,
  run: EvalRun,
): Promise<DamageResult> {
  const scores = await scoreTexts(neutral.sequences, conditions, { positions: 'all', kl: true }, run);
  const edits = scores.conditions.map((row) => row.reduce((total, score) => total + score.edits, 0));
  const idle = conditions.filter((condition, i) => edits[i] === 0 && Object.values(condition.lane.strengths ?? {}).some((s) => s !== 0));
  const notes = [...neutral.notes];
  if (idle.length > 0) notes.push(`No edit of ${idle.map(({ name }) => `"${name}"`).join(', ')} acted on the neutral documents.`);
  return {
    unedited: damageOf(scores.unedited, scores.unedited, resampling),
    conditions: scores.conditions.map((row) => damageOf(row, scores.unedited, resampling)),
    edits,
    notes,
  };
}

/** Damage from documents' scores; every list is by document. */
export function damageOf(scores: readonly TextScore[], unedited: readonly TextScore[], resampling: Resampling): Damage {
  const tokens = scores.map((score) => score.tokens);
  const entropy = scores.map(({ sum }) => -sum);
  return {
    crossEntropy: ratioEstimate(entropy, tokens, resampling),
    crossEntropyRise: ratioDifferenceEstimate(
      entropy,
      unedited.map(({ sum }) => -sum),
      tokens,
      resampling,
    ),
    kl: ratioEstimate(
      scores.map(({ kl }) => kl ?? 0),
      tokens,
      resampling,
    ),
  };
}
