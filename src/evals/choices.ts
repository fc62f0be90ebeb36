import { TillerError } from '../errors/error.ts';
import type { SequenceInput } from '../engine/engine.ts';
import type { QuestionExample } from '../examples/example.ts';
import type { AnswerEncoder } from './answer-text.ts';
import type { Condition } from './condition.ts';
import { questionPrompt, type Primer } from './primer.ts';
import type { EvalRun } from './run.ts';
import { scoreTexts, type PartialScores, type TextScore } from './score-texts.ts';

/** An answer under one condition. */
export interface AnswerScore {
  /** Log-probability of the answer's tokens given question and primer, nats. */
  readonly sum: number;
  /** The same per token. */
  readonly mean: number;
  readonly tokens: number;
}

/** A question whose answers have scores. */
export interface ScoredQuestion {
  readonly group: string;
  /** Index into `right` of the best answer. */
  readonly best: number;
  readonly right: readonly AnswerScore[];
  readonly wrong: readonly AnswerScore[];
}

/** Questions as texts: those of one question follow each other, right answers first. */
export interface QuestionTexts {
  readonly texts: readonly SequenceInput[];
  readonly questions: readonly { readonly group: string; readonly best: number; readonly right: number; readonly wrong: number }[];
  /** Sentences on questions that were left out and why. */
  readonly notes: readonly string[];
}

/**
 * Every answer after its question. Questions without a wrong answer, whose score would be perfect whatever the model does, and those
 * whose texts are longer than the context are left out, and said.
 * @param encode how prompt and answer become tokens; the answer is found by offsets
 * @throws eval/units where no question is left
 */
export function questionTexts(rows: readonly QuestionExample[], primer: Primer, encode: AnswerEncoder, maxContext: number): QuestionTexts {
  const texts: SequenceInput[] = [];
  const questions: QuestionTexts['questions'][number][] = [];
  const left = { oneSided: 0, long: 0 };
  for (const { question, group, best, right, wrong } of rows) {
    const at = right.indexOf(best);
    if (wrong.length === 0 || at < 0) {
      left.oneSided += 1;
      continue;
    }
    const prompt = questionPrompt(question, primer);
    const answers = [...right, ...wrong].map((answer) => encode(prompt, ` ${answer}`));
    if (answers.some(({ ids }) => ids.length > maxContext)) {
      left.long += 1;
      continue;
    }
    texts.push(...answers);
    questions.push({ group, best: at, right: right.length, wrong: wrong.length });
  }
  if (questions.length === 0) throw new TillerError('eval/units', { what: 'question with right and wrong answers that fits the context' });
  const notes: string[] = [];
  if (left.oneSided > 0)
    notes.push(`${left.oneSided} questions are left out: they lack a wrong answer, or their best answer is not among the right ones.`);
  if (left.long > 0)
    notes.push(`${left.long} questions are left out: with the primer they are longer than the context of ${maxContext} tokens.`);
  return { texts, questions, notes };
}

const answerScore = ({ sum, tokens }: TextScore): AnswerScore => ({ sum, mean: sum / tokens, tokens });

/** Texts' scores back as questions. */
export function scoredQuestions({ questions }: QuestionTexts, scores: readonly TextScore[]): ScoredQuestion[] {
  let at = 0;
  return questions.map(({ group, best, right, wrong }) => {
    const all = scores.slice(at, at + right + wrong).map(answerScore);
    at += right + wrong;
    return { group, best, right: all.slice(0, right), wrong: all.slice(right) };
  });
}

/** The questions whose answers all have scores. */
function finishedQuestions(given: QuestionTexts, scores: readonly (TextScore | null)[]): ScoredQuestion[] {
  let at = 0;
  const kept = given.questions.map(({ right, wrong }) => {
    const mine = scores.slice(at, at + right + wrong);
    at += right + wrong;
    return mine.flatMap((score) => score ?? []).length === mine.length ? mine : null;
  });
  const questions = given.questions.filter((_, i) => kept[i] !== null);
  return scoredQuestions(
    { ...given, questions },
    kept.flatMap((mine) => mine?.flatMap((score) => score ?? []) ?? []),
  );
}

/**
 * Scores of all questions unedited and under every condition.
 * @param onTenth called when another tenth of the answers is scored, with the questions that are finished: unedited, then by condition
 */
export async function scoreQuestions(
  given: QuestionTexts,
  conditions: readonly Condition[],
  run: EvalRun,
  onTenth?: (questions: readonly (readonly ScoredQuestion[])[]) => void,
): Promise<{ unedited: ScoredQuestion[]; conditions: ScoredQuestion[][] }> {
  const heard = ({ unedited, conditions: rows }: PartialScores): void =>
    onTenth?.([unedited, ...rows].map((row) => finishedQuestions(given, row)));
  const options = { positions: 'answer', kl: false, ...(onTenth ? { onTenth: heard } : {}) } as const;
  const scores = await scoreTexts(given.texts, conditions, options, run);
  return {
    unedited: scoredQuestions(given, scores.unedited),
    conditions: scores.conditions.map((row) => scoredQuestions(given, row)),
  };
}
