import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../stats/random.ts';
import type { Example, ExampleSet } from './example.ts';
import type { Part } from './reading.ts';
import { checkLeak, splitExamples, type SplitRule } from './split.ts';

const labelled = (groups: readonly string[], label = (i: number): 0 | 1 => (i % 2 === 0 ? 1 : 0)): ExampleSet => ({
  name: 'x',
  kind: 'labelled',
  classes: ['off', 'on'],
  rows: groups.map((group, i): Example => ({ kind: 'labelled', line: i + 1, group, text: `t${i}`, label: label(i) })),
  problems: [],
  sha256: '',
});
const numbered = (count: number): ExampleSet => labelled(Array.from({ length: count }, (_, i) => `g${i}`));
const counts = (parts: readonly Part[]): number[] =>
  ['train', 'validation', 'test'].map((part) => parts.filter((each) => each === part).length);
const fractions = (validation: number, test: number): SplitRule => ({ kind: 'fractions', validation, test });

describe('splits', () => {
  const rules = fc.oneof(
    fc.record({ kind: fc.constant('fractions' as const), validation: fc.constantFrom(0.2, 0.3), test: fc.constantFrom(0.2, 0.4) }),
    fc.integer({ min: 2, max: 5 }).chain((folds) =>
      fc.record({ kind: fc.constant('folds' as const), folds: fc.constant(folds), fold: fc.nat(folds - 1), validation: fc.constantFrom(0, 0.3) }),
    ),
    fc.record({ kind: fc.constant('halves' as const), testHalf: fc.constantFrom(0 as const, 1 as const) }),
  ); // prettier-ignore

  it('never divide a group, give every row a part, and depend on the seed alone', () => {
    const names = fc.array(fc.nat(40), { minLength: 60, maxLength: 150 });
    fc.assert(
      fc.property(names, rules, fc.nat(), (groups, rule, seed) => {
        const set = labelled(groups.map((group) => (group % 3 === 0 ? `  Group ${group} ` : `group ${group}`)));
        const parts = splitExamples(set, rule, seededRandom(seed));
        expect(parts).toHaveLength(groups.length);
        checkLeak(set.rows, parts);
        expect(splitExamples(set, rule, seededRandom(seed))).toEqual(parts);
      }),
      { numRuns: 200 },
    );
  });

  it('take the shares that are asked for, of each class', () => {
    const set = numbered(100);
    const parts = splitExamples(set, fractions(0.2, 0.3), seededRandom(1));
    expect(counts(parts)).toEqual([50, 20, 30]);
    const test = set.rows.filter((_, i) => parts[i] === 'test');
    expect(test.filter((row) => row.kind === 'labelled' && row.label === 1)).toHaveLength(15);
    expect(splitExamples(set, fractions(0.2, 0.3), seededRandom(2))).not.toEqual(parts);
    expect(counts(splitExamples(set, fractions(0.25, 0), seededRandom(1)))).toEqual([75, 25, 0]);
  });

  it('of k folds: every row is tested once', () => {
    const set = numbered(23);
    const folds = [0, 1, 2, 3].map((fold) => splitExamples(set, { kind: 'folds', folds: 4, fold, validation: 0.25 }, seededRandom(3)));
    for (let i = 0; i < 23; i++) expect(folds.filter((parts) => parts[i] === 'test')).toHaveLength(1);
    for (const parts of folds) expect(counts(parts)[2]).toBeGreaterThanOrEqual(5);
  });

  it('as ITI does: contiguous halves of 817 questions, four fifths of the other half to train', () => {
    const set = numbered(817);
    const first = splitExamples(set, { kind: 'halves', testHalf: 0 }, seededRandom(42));
    expect(counts(first)).toEqual([326, 82, 409]);
    expect(first.slice(0, 409).every((part) => part === 'test')).toBe(true);
    const second = splitExamples(set, { kind: 'halves', testHalf: 1 }, seededRandom(42));
    expect(counts(second)).toEqual([327, 82, 408]);
    expect(second.slice(409).every((part) => part === 'test')).toBe(true);
  });

  it.each<[string, number, SplitRule]>([
    ['too few groups', 2, fractions(0.2, 0.2)],
    ['one group', 1, { kind: 'halves', testHalf: 0 }],
    ['no train', 10, fractions(0.5, 0.5)],
    ['a share below 0', 10, fractions(-0.1, 0.2)],
    ['a share that is no number', 10, fractions(NaN, 0.2)],
    ['one fold', 10, { kind: 'folds', folds: 1, fold: 0, validation: 0 }],
    ['a fold that is not there', 10, { kind: 'folds', folds: 3, fold: 3, validation: 0 }],
    ['more folds than groups', 3, { kind: 'folds', folds: 4, fold: 0, validation: 0 }],
  ])('refuse %s', (_, count, rule) => {
    expect(() => splitExamples(numbered(count), rule, seededRandom(0))).toThrow(expect.objectContaining({ code: 'examples/split' }));
  });
});

describe('the leak check', () => {
  it('names a group that is in two parts, however it is written', () => {
    const rows = [{ group: 'Is it  so?' }, { group: 'other' }, { group: ' is it so? ' }];
    expect(() => checkLeak(rows, ['train', 'test', 'test'])).toThrow(
      expect.objectContaining({ code: 'examples/leak', details: { group: ' is it so? ', first: 'train', second: 'test' } }),
    );
    checkLeak(rows, ['train', 'test', 'train']);
  });
});
