import { TillerError } from '../errors/error.ts';
import type { Example, ExampleSet } from '../examples/example.ts';
import { groupKey } from '../examples/group.ts';
import type { Part, Reading } from '../examples/reading.ts';
import { readingsOf } from '../examples/readings.ts';
import { checkLeak, splitExamples } from '../examples/split.ts';
import { spreadReadingsOf } from '../examples/spread.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { seededRandom, shuffle } from '../stats/random.ts';
import type { Recipe } from './recipe.ts';

/** Streams of chance that a recipe's seed gives, one for each use: a change in one place moves no other. */
export const streams = { split: 0, limit: 1, spread: 2, method: 3, controls: 4 } as const;
export const stream = (seed: number, use: keyof typeof streams): (() => number) => seededRandom(seed * 8 + streams[use]);

/** Examples divided into parts and turned into what the model reads. Test rows are not among the readings: no method sees them. */
export interface PreparedExamples {
  readonly set: ExampleSet;
  /** Part of every row of the set, which holds what the recipe's limit leaves. */
  readonly parts: readonly Part[];
  readonly counts: Readonly<Record<Part, number>>;
  /** Of training and validation rows, in the order of the set. */
  readonly readings: readonly Reading[];
  /** Part of each reading. */
  readonly readingParts: readonly Part[];
  /** ITI's texts for the spread of activations; null where the examples are no questions. */
  readonly spread: readonly Reading[] | null;
  readonly notes: readonly string[];
}

/** @throws examples/options, examples/split, examples/leak, model/tokenizer */
export function prepareExamples(given: ExampleSet, tokenizer: Tokenizer, recipe: Recipe, maxTokens: number): PreparedExamples {
  const notes: string[] = [];
  const set = limitExamples(given, recipe, notes);
  const parts = splitExamples(set, recipe.split, stream(recipe.seed, 'split'));
  checkLeak(set.rows, parts);
  const { readings: all, dropped, cut } = readingsOf(set, tokenizer, { template: recipe.template, token: recipe.token, maxTokens });
  if (dropped.length > 0) notes.push(`${dropped.length} texts are left out, the first of line ${dropped[0].line}: ${dropped[0].problem}.`);
  if (cut.length > 0) notes.push(`${cut.length} texts are cut to the model's context, the first of line ${cut[0].line}.`);
  const readings = all.filter(({ example }) => parts[example] !== 'test');
  const readingParts = readings.map(({ example }) => parts[example]);
  const spread =
    set.kind === 'questions'
      ? spreadReadingsOf(set, parts, tokenizer, { template: recipe.template, maxTokens }, stream(recipe.seed, 'spread')).readings
      : null;
  const counts = { train: 0, validation: 0, test: 0 };
  for (const part of parts) counts[part] += 1;
  if (given.problems.length > 0)
    notes.push(
      `${given.problems.length} ${given.problems.length === 1 ? 'row' : 'rows'} cannot be used, the first in line ${given.problems[0].line}: ${given.problems[0].problem}.`,
    );
  return { set, parts, counts, readings, readingParts, spread, notes };
}

export const rowsOfPart = ({ set, parts }: PreparedExamples, part: Part): readonly Example[] =>
  set.rows.filter((_, i) => parts[i] === part);

/** Whole groups taken by chance until the limit is reached, in the order of the set. */
export function limitExamples(set: ExampleSet, { limit, seed }: Pick<Recipe, 'limit' | 'seed'>, notes: string[]): ExampleSet {
  if (limit === null || set.rows.length <= limit) return set;
  const groups = new Map<string, number>();
  for (const { group } of set.rows) groups.set(groupKey(group), (groups.get(groupKey(group)) ?? 0) + 1);
  const taken = new Set<string>();
  let rows = 0;
  for (const [key, count] of shuffle([...groups], stream(seed, 'limit'))) {
    if (rows + count > limit) continue;
    taken.add(key);
    rows += count;
  }
  if (rows === 0) throw new TillerError('examples/split', { problem: `no group of examples has at most ${limit} rows` });
  notes.push(`${rows} of ${set.rows.length} examples are used, taken by seed.`);
  return { ...set, rows: set.rows.filter(({ group }) => taken.has(groupKey(group))) };
}
