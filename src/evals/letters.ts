import { TillerError } from '../errors/error.ts';
import type { ChoiceExample } from '../examples/example.ts';
import type { AnswerEncoder, Asked } from './answer-text.ts';
import type { Condition, Estimate } from './condition.ts';
import type { TextPair } from './continuations.ts';
import { differenceEstimate, meanEstimate, type Resampling } from './estimate.ts';
import type { EvalRun } from './run.ts';
import { scoreTexts, type TextScore } from './score-texts.ts';

/** A question whose options are letters, with the same question in the other order where its form allows. */
export interface LetterItem {
  readonly group: string;
  readonly pair: TextPair;
  /** Null where the options do not stand as `(A) ...` and `(B) ...` on lines of their own. */
  readonly swapped: TextPair | null;
  /** Whether the matching answer is the option that comes first. */
  readonly matchingFirst: boolean | null;
}

/** Options on lines of their own: ` (A) text`. */
const optionLine = /^([ \t]*\()([A-Za-z])(\)[ \t]*)(\S.*)$/;

/**
 * The same question with the texts of its two options exchanged, letters staying where they are: then the letter that matched no longer
 * does. Null where there are not exactly two options, one for each letter of the answers.
 */
export function swapOptions({ question, matching, notMatching }: Pick<ChoiceExample, 'question' | 'matching' | 'notMatching'>): {
  question: string;
  matchingFirst: boolean;
} | null {
  const lines = question.split('\n');
  const options = lines.flatMap((line, at) => {
    const match = optionLine.exec(line);
    return match ? [{ at, open: match[1], letter: match[2], close: match[3], text: match[4] }] : [];
  });
  if (options.length !== 2) return null;
  const [first, second] = options;
  const letter = (answer: string): string | undefined => /^\s*\(?([A-Za-z])\)?\s*$/.exec(answer)?.[1];
  const letters = [letter(matching), letter(notMatching)];
  if (letters[0] === letters[1] || !letters.includes(first.letter) || !letters.includes(second.letter)) return null;
  const out = [...lines];
  out[first.at] = `${first.open}${first.letter}${first.close}${second.text}`;
  out[second.at] = `${second.open}${second.letter}${second.close}${first.text}`;
  return { question: out.join('\n'), matchingFirst: letters[0] === first.letter };
}

/** The cue that answers follow, unless the question already ends with one. */
export function letterPrompt(question: string): Asked {
  const asked = question.trimEnd();
  return { plain: /answer:$/i.test(asked) ? asked : `${asked}\n\nAnswer:`, chat: asked };
}

/** Items as texts. @throws eval/units where there are none */
export function letterItems(rows: readonly ChoiceExample[], encode: AnswerEncoder): LetterItem[] {
  if (rows.length === 0) throw new TillerError('eval/units', { what: 'question with lettered options' });
  return rows.map((row) => {
    const { group, question, matching, notMatching } = row;
    const spaced = (answer: string): string => (/^\s/.test(answer) ? answer : ` ${answer}`);
    const pair = (asked: string, wanted: string, unwanted: string): TextPair => ({
      group,
      wanted: encode(letterPrompt(asked), spaced(wanted)),
      unwanted: encode(letterPrompt(asked), spaced(unwanted)),
    });
    const swapped = swapOptions(row);
    return {
      group,
      pair: pair(question, matching, notMatching),
      swapped: swapped && pair(swapped.question, notMatching, matching),
      matchingFirst: swapped?.matchingFirst ?? null,
    };
  });
}

export interface LetterReport {
  /** Probability of the matching answer among the two, mean of both orders where there are two. */
  readonly probability: Estimate;
  /** Its log-odds, nats, likewise. */
  readonly logOdds: Estimate;
  /** The same less the unedited model's. */
  readonly gain: { readonly probability: Estimate; readonly logOdds: Estimate };
  /** Mean probability of the option that comes first, over both orders: 0.5 without position bias. Null where no item can be swapped. */
  readonly first: Estimate | null;
}

/** By item. */
interface LetterValues {
  readonly probability: number[];
  readonly logOdds: number[];
  readonly first: number[];
}

export const logistic = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

/** Letters' log-odds and probabilities, unedited and under every condition. @throws what Engine.score throws */
export async function measureLetters(
  items: readonly LetterItem[],
  conditions: readonly Condition[],
  resampling: Resampling,
  run: EvalRun,
): Promise<{ unedited: LetterReport; conditions: LetterReport[]; items: number; swapped: number }> {
  const pairs = items.flatMap(({ pair, swapped }) => (swapped ? [pair, swapped] : [pair]));
  const texts = pairs.flatMap(({ wanted, unwanted }) => [wanted, unwanted]);
  const scores = await scoreTexts(texts, conditions, { positions: 'answer', kl: false }, run);
  const before = letterValues(items, scores.unedited);
  const report = (row: readonly TextScore[]): LetterReport => {
    const now = letterValues(items, row);
    return {
      probability: meanEstimate(now.probability, resampling),
      logOdds: meanEstimate(now.logOdds, resampling),
      gain: {
        probability: differenceEstimate(now.probability, before.probability, resampling),
        logOdds: differenceEstimate(now.logOdds, before.logOdds, resampling),
      },
      first: now.first.length > 0 ? meanEstimate(now.first, resampling) : null,
    };
  };
  return {
    unedited: report(scores.unedited),
    conditions: scores.conditions.map(report),
    items: items.length,
    swapped: items.filter(({ swapped }) => swapped !== null).length,
  };
}

/** @param scores of the texts of all pairs: wanted, unwanted, and the same swapped where there is a swapped pair */
export function letterValues(items: readonly LetterItem[], scores: readonly TextScore[]): LetterValues {
  const values: LetterValues = { probability: [], logOdds: [], first: [] };
  let at = 0;
  const next = (): number => scores[at++].sum - scores[at++].sum;
  for (const { swapped, matchingFirst } of items) {
    const asked = next();
    if (!swapped || matchingFirst === null) {
      values.logOdds.push(asked);
      values.probability.push(logistic(asked));
      continue;
    }
    const turned = next();
    values.logOdds.push((asked + turned) / 2);
    values.probability.push((logistic(asked) + logistic(turned)) / 2);
    // In the given order the matching answer comes first or not; after the swap it is the other way round.
    const [first, second] = matchingFirst ? [asked, turned] : [turned, asked];
    values.first.push((logistic(first) + logistic(-second)) / 2);
  }
  return values;
}
