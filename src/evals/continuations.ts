import { TillerError } from '../errors/error.ts';
import type { SequenceInput } from '../engine/engine.ts';
import type { Condition, Estimate } from './condition.ts';
import { differenceEstimate, meanEstimate, type Resampling } from './estimate.ts';
import { normalizers, promotion, type Normalizer, type PairScores, type Promotion } from './promotion.ts';
import type { EvalRun } from './run.ts';
import { scoreTexts, type TextScore } from './score-texts.ts';

/** A wanted and an unwanted text after the same prompt; promptLength says where each begins. */
export interface TextPair {
  readonly group: string;
  readonly wanted: SequenceInput;
  readonly unwanted: SequenceInput;
}

export type PairMeasure = 'sum' | 'mean';

/** What a condition does to pairs, raw: nats, or nats a token. */
export interface PairReport {
  /** Mean log-probability of the wanted and of the unwanted texts. */
  readonly wanted: Estimate;
  readonly unwanted: Estimate;
  /** Wanted less unwanted, pair by pair. */
  readonly gap: Estimate;
  /** Share of pairs whose wanted text is strictly likelier. */
  readonly accuracy: Estimate;
  /** The same less the unedited model's, pair by pair. */
  readonly change: { readonly wanted: Estimate; readonly unwanted: Estimate; readonly gap: Estimate; readonly accuracy: Estimate };
  /** Pres et al.'s metric under each normaliser. */
  readonly promotion: Readonly<Record<Normalizer, readonly Promotion[]>>;
}
export type PairReports = Readonly<Record<PairMeasure, PairReport>>;

export interface ContinuationResult {
  readonly unedited: PairReports;
  /** By condition. */
  readonly conditions: readonly PairReports[];
  readonly pairs: number;
}

/**
 * How likely wanted and unwanted continuations are, unedited and under every condition.
 * @throws eval/units without pairs; what Engine.score throws
 */
export async function measureContinuations(
  pairs: readonly TextPair[],
  conditions: readonly Condition[],
  resampling: Resampling,
  run: EvalRun,
): Promise<ContinuationResult> {
  if (pairs.length === 0) throw new TillerError('eval/units', { what: 'pair of continuations' });
  const texts = pairs.flatMap(({ wanted, unwanted }) => [wanted, unwanted]);
  const scores = await scoreTexts(texts, conditions, { positions: 'answer', kl: false }, run);
  const of = (row: readonly TextScore[]): PairReports => ({
    sum: pairReport(pairScores(row, 'sum'), pairScores(scores.unedited, 'sum'), resampling),
    mean: pairReport(pairScores(row, 'mean'), pairScores(scores.unedited, 'mean'), resampling),
  });
  return { unedited: of(scores.unedited), conditions: scores.conditions.map(of), pairs: pairs.length };
}

function pairScores(scores: readonly TextScore[], measure: PairMeasure): PairScores {
  const values = scores.map(({ sum, tokens }) => (measure === 'sum' ? sum : sum / tokens));
  return { wanted: values.filter((_, i) => i % 2 === 0), unwanted: values.filter((_, i) => i % 2 === 1) };
}

export function pairReport(edited: PairScores, control: PairScores, resampling: Resampling): PairReport {
  const gaps = ({ wanted, unwanted }: PairScores): number[] => wanted.map((score, i) => score - unwanted[i]);
  const right = (scores: PairScores): number[] => gaps(scores).map((gap) => (gap > 0 ? 1 : 0));
  const promotions = normalizers.map((normalizer) => [normalizer, promotion(control, edited, normalizer)] as const);
  return {
    wanted: meanEstimate(edited.wanted, resampling),
    unwanted: meanEstimate(edited.unwanted, resampling),
    gap: meanEstimate(gaps(edited), resampling),
    accuracy: meanEstimate(right(edited), resampling),
    change: {
      wanted: differenceEstimate(edited.wanted, control.wanted, resampling),
      unwanted: differenceEstimate(edited.unwanted, control.unwanted, resampling),
      gap: differenceEstimate(gaps(edited), gaps(control), resampling),
      accuracy: differenceEstimate(right(edited), right(control), resampling),
    },
    promotion: Object.fromEntries(promotions) as Record<Normalizer, Promotion[]>,
  };
}
