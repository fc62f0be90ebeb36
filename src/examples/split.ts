import { TillerError } from '../errors/error.ts';
import { shuffle } from '../stats/random.ts';
import type { Example, ExampleSet } from './example.ts';
import { groupKey } from './group.ts';
import type { Part } from './reading.ts';

/** How rows are divided. Whole groups always; the same seed gives the same split. */
export type SplitRule =
  /** Shares of the groups, drawn by chance; the rest is train. Labelled rows: the same share of each class, as far as groups allow. */
  | { readonly kind: 'fractions'; readonly validation: number; readonly test: number }
  /** One of k folds is the test part; `validation` is a share of the others. */
  | { readonly kind: 'folds'; readonly folds: number; readonly fold: number; readonly validation: number }
  /**
   * ITI's (Li et al., 2023): contiguous halves in the order of the source, one of them the test half; of the other, four fifths (rounded
   * down) drawn by chance are train and the rest is validation.
   */
  | { readonly kind: 'halves'; readonly testHalf: 0 | 1 };

interface Group {
  readonly key: string;
  readonly rows: readonly number[];
  /** Groups of one stratum are divided in the same shares. */
  readonly stratum: string;
}

/**
 * The part of every row of a set.
 * @param random uniform numbers in [0, 1), seeded
 * @throws examples/split where a part that is asked for would be empty
 */
export function splitExamples(set: ExampleSet, rule: SplitRule, random: () => number): Part[] {
  const groups = groupsOf(set.rows);
  const parts = new Map<string, Part>();
  const assign = (some: readonly Group[], part: Part): void => some.forEach(({ key }) => parts.set(key, part));
  const asked = { train: true, validation: true, test: true };
  if (rule.kind === 'halves') {
    const middle = Math.ceil(groups.length / 2);
    const halves = [groups.slice(0, middle), groups.slice(middle)];
    assign(halves[rule.testHalf], 'test');
    const rest = shuffle(halves[1 - rule.testHalf], random);
    const train = Math.floor((rest.length * 4) / 5);
    assign(rest.slice(0, train), 'train');
    assign(rest.slice(train), 'validation');
  } else {
    checkShares(rule);
    const strata = stratify(groups, random);
    const of = rule.kind === 'fractions' ? fractionTaker(rule.test) : foldTaker(rule.folds, rule.fold, groups.length);
    const validation = rule.kind === 'fractions' ? rule.validation / (1 - rule.test) : rule.validation;
    asked.validation = rule.validation > 0;
    asked.test = rule.kind === 'folds' || rule.test > 0;
    const takeValidation = fractionTaker(validation);
    for (const stratum of strata) {
      const [test, rest] = of(stratum);
      const [held, train] = takeValidation(rest);
      assign(test, 'test');
      assign(held, 'validation');
      assign(train, 'train');
    }
  }
  for (const part of ['train', 'validation', 'test'] as const) {
    if (asked[part] && ![...parts.values()].includes(part)) {
      throw new TillerError('examples/split', { problem: `${groups.length} groups leave nothing for ${part}` });
    }
  }
  return set.rows.map(({ group }) => parts.get(groupKey(group)) ?? 'train');
}

/**
 * That no group has rows in two parts; names of groups are compared as `groupKey` writes them. For splits from elsewhere as well.
 * @throws examples/leak naming the first group that has
 */
export function checkLeak(rows: readonly { readonly group: string }[], parts: readonly Part[]): void {
  const seen = new Map<string, Part>();
  for (const [i, { group }] of rows.entries()) {
    const key = groupKey(group);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, parts[i]);
    else if (first !== parts[i]) throw new TillerError('examples/leak', { group: group.slice(0, 80), first, second: parts[i] });
  }
}

function groupsOf(rows: readonly Example[]): Group[] {
  const byKey = new Map<string, number[]>();
  rows.forEach(({ group }, i) => {
    const key = groupKey(group);
    const list = byKey.get(key);
    if (list) list.push(i);
    else byKey.set(key, [i]);
  });
  return [...byKey].map(([key, indices]) => {
    const labels = new Set(indices.map((i) => labelOf(rows[i])));
    return { key, rows: indices, stratum: [...labels].sort().join(' ') };
  });
}

const labelOf = (row: Example): string => (row.kind === 'labelled' ? String(row.label) : 'both');

/** Shuffled groups by stratum, in an order that does not hang on the order of the source. */
function stratify(groups: readonly Group[], random: () => number): Group[][] {
  const strata = new Map<string, Group[]>();
  for (const group of groups) strata.set(group.stratum, [...(strata.get(group.stratum) ?? []), group]);
  return [...strata].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, list]) => shuffle(list, random));
}

type Taker = (groups: readonly Group[]) => [taken: readonly Group[], rest: readonly Group[]];

/** Takes a share of each stratum so that the sum over strata is the share of all, rounded. */
function fractionTaker(fraction: number): Taker {
  let due = 0;
  let given = 0;
  return (groups) => {
    due += fraction * groups.length;
    const count = Math.max(0, Math.min(groups.length, Math.round(due) - given));
    given += count;
    return [groups.slice(0, count), groups.slice(count)];
  };
}

/** Deals groups out to folds in turn, on through all strata, so that folds differ by one at most. */
function foldTaker(folds: number, fold: number, count: number): Taker {
  if (count < folds) throw new TillerError('examples/split', { problem: `${count} groups are too few for ${folds} folds` });
  let turn = 0;
  return (groups) => {
    const taken: Group[] = [];
    const rest: Group[] = [];
    for (const group of groups) (turn++ % folds === fold ? taken : rest).push(group);
    return [taken, rest];
  };
}

function checkShares(rule: Exclude<SplitRule, { kind: 'halves' }>): void {
  const fail = (problem: string): never => {
    throw new TillerError('examples/split', { problem });
  };
  const share = (value: number, name: string): void => {
    if (!(value >= 0 && value < 1)) fail(`the share for ${name} must be at least 0 and below 1, got ${String(value)}`);
  };
  share(rule.validation, 'validation');
  if (rule.kind === 'fractions') {
    share(rule.test, 'test');
    if (rule.validation + rule.test >= 1) fail('validation and test together leave nothing for train');
    return;
  }
  if (!Number.isInteger(rule.folds) || rule.folds < 2) fail(`there must be at least 2 folds, got ${String(rule.folds)}`);
  if (!Number.isInteger(rule.fold) || rule.fold < 0 || rule.fold >= rule.folds)
    fail(`the fold must be a whole number from 0 to ${rule.folds - 1}`);
}
