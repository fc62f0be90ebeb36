import { TillerError } from '../errors/error.ts';

/** A number for a text, as data: nothing of it is run as code. */
export type TextScorer =
  /** Matches of a regular expression, a hundred words of text. */
  | { readonly kind: 'pattern'; readonly pattern: string; readonly ignoreCase?: boolean }
  /** Weights of the words that occur, a hundred words of text; words as the table has them, in lower case. */
  | { readonly kind: 'words'; readonly weights: Readonly<Record<string, number>> }
  | { readonly kind: 'built-in'; readonly name: BuiltInScorer };

const words = (text: string): string[] => text.toLowerCase().match(/\p{L}[\p{L}\p{M}'’-]*/gu) ?? [];
const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/** Scorers that need no table. */
export const builtInScorers = {
  length: { title: 'Words', score: (text: string) => words(text).length },
  'sentence-length': {
    title: 'Words a sentence',
    score: (text: string) => share(words(text).length, Math.max(1, text.match(/[.!?]+(?=\s|$)/g)?.length ?? 0)),
  },
  'word-length': { title: 'Letters a word', score: (text: string) => share(words(text).join('').length, words(text).length) },
  exclamations: { title: 'Exclamation marks, a hundred words', score: (text: string) => perHundred(text, text.match(/!/g)?.length ?? 0) },
  questions: { title: 'Question marks, a hundred words', score: (text: string) => perHundred(text, text.match(/\?/g)?.length ?? 0) },
  'upper-case': {
    title: 'Share of letters that are capitals',
    score: (text: string) => share(text.match(/\p{Lu}/gu)?.length ?? 0, text.match(/\p{L}/gu)?.length ?? 0),
  },
} as const;
export type BuiltInScorer = keyof typeof builtInScorers;

const perHundred = (text: string, count: number): number => 100 * share(count, words(text).length);

const LIMITS = { pattern: 1000, words: 20_000, text: 20_000 } as const;

/**
 * The scorer as a function. Texts are looked at up to 20,000 characters.
 * @throws eval/scorer
 */
export function compileScorer(scorer: TextScorer): (text: string) => number {
  const fail = (problem: string): never => {
    throw new TillerError('eval/scorer', { problem });
  };
  const cut = (text: string): string => text.slice(0, LIMITS.text);
  if (scorer.kind === 'built-in') {
    if (!Object.hasOwn(builtInScorers, scorer.name)) return fail(`there is no built-in scorer "${String(scorer.name)}"`);
    const { score } = builtInScorers[scorer.name];
    return (text) => score(cut(text));
  }
  if (scorer.kind === 'pattern') {
    if (scorer.pattern === '') return fail('the pattern is empty');
    if (scorer.pattern.length > LIMITS.pattern) return fail(`the pattern is longer than ${LIMITS.pattern} characters`);
    let pattern: RegExp;
    try {
      pattern = new RegExp(scorer.pattern, scorer.ignoreCase ? 'giu' : 'gu');
    } catch (cause) {
      return fail(cause instanceof Error ? cause.message : String(cause));
    }
    return (text) => perHundred(cut(text), [...cut(text).matchAll(pattern)].filter(([match]) => match !== '').length);
  }
  const entries = Object.entries(scorer.weights);
  if (entries.length === 0) return fail('it has no words');
  if (entries.length > LIMITS.words) return fail(`it has ${entries.length} words, the limit is ${LIMITS.words}`);
  for (const [word, weight] of entries) if (!Number.isFinite(weight)) return fail(`the weight of "${word}" is not a finite number`);
  const weights = new Map(entries.map(([word, weight]) => [word.toLowerCase(), weight]));
  return (text) => {
    const found = words(cut(text));
    return (
      100 *
      share(
        found.reduce((total, word) => total + (weights.get(word) ?? 0), 0),
        found.length,
      )
    );
  };
}
