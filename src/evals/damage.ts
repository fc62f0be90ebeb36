import type { Condition, Damage } from './condition.ts';
import { ratioDifferenceEstimate, ratioEstimate, type Resampling } from './estimate.ts';
import type { NeutralTexts } from './neutral-texts.ts';
import type { EvalPart, EvalRun } from './run.ts';
import { scoreTexts, type PartialScores, type TextScore } from './score-texts.ts';

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
  const { onPart } = run;
  const scores = await scoreTexts(
    neutral.sequences,
    conditions,
    { positions: 'all', kl: true, ...(onPart ? { onTenth: (part: PartialScores) => onPart(partOf(part)) } : {}) },
    run,
  );
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

/** The same sums over tokens, of the documents that are scored. */
function partOf({ unedited, conditions }: PartialScores): EvalPart {
  const values = [unedited, ...conditions].map((row) => {
    const scores = row.flatMap((score) => score ?? []);
    const over = (of: (score: TextScore) => number): number => scores.reduce((total, score) => total + of(score), 0);
    const tokens = over((score) => score.tokens);
    return { crossEntropy: over(({ sum }) => -sum) / tokens, kl: over(({ kl }) => kl ?? 0) / tokens };
  });
  const done = unedited.filter((score) => score !== null).length;
  return { unit: 'documents', done, total: unedited.length, values };
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
