import { TillerError } from '../errors/error.ts';
import type { SequenceInput } from '../engine/engine.ts';
import type { ExampleKind } from '../examples/example.ts';
import type { Part } from '../examples/reading.ts';
import type { Effect, EffectValues } from './effect.ts';
import { logistic } from './letters.ts';
import { logSumExp } from '../stats/log-sum-exp.ts';
import { choiceMetricsOf } from './multiple-choice.ts';
import type { ChoiceMetric } from './multiple-choice.ts';
import { scoreTexts, type TextScore } from './score-texts.ts';

/** Wanted texts against unwanted ones after the same prompt; the first wanted one is the best. */
export interface Comparison {
  readonly group: string;
  readonly wanted: readonly SequenceInput[];
  readonly unwanted: readonly SequenceInput[];
}

/** One text of a class. */
export interface ClassText {
  readonly group: string;
  readonly label: 0 | 1;
  readonly text: SequenceInput;
}

/** What is compared. */
export type LikelihoodUnits =
  | { readonly kind: 'comparisons'; readonly units: readonly Comparison[] }
  | { readonly kind: 'classes'; readonly units: readonly ClassText[] };

type Compare = (wanted: readonly TextScore[], unwanted: readonly TextScore[]) => number;

const sums = (scores: readonly TextScore[]): number[] => scores.map(({ sum }) => sum);
const perToken = ({ sum, tokens }: TextScore): number => sum / tokens;
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const logOdds: Compare = (wanted, unwanted) => logSumExp(sums(wanted)) - logSumExp(sums(unwanted));
const choice =
  (metric: ChoiceMetric): Compare =>
  (wanted, unwanted) =>
    choiceMetricsOf(sums(wanted), sums(unwanted), 0)[metric];

interface EffectRow {
  readonly title: string;
  readonly unit: string;
  /** What of examples it can be measured on. */
  readonly kinds: readonly ExampleKind[];
  /** Null for what compares classes rather than answers. */
  readonly compare: Compare | null;
}

const answers: readonly ExampleKind[] = ['pairs', 'continuations', 'choices', 'questions'];

/** Effects that are read off likelihoods: no judge, no sampling. */
export const likelihoodEffects = {
  'log-odds': { title: 'Log-odds of wanted over unwanted answers', unit: 'nats', kinds: answers, compare: logOdds },
  probability: {
    title: 'Probability of wanted answers among all given ones',
    unit: 'probability',
    kinds: answers,
    compare: (wanted, unwanted) => logistic(logOdds(wanted, unwanted)),
  },
  'token-gap': {
    title: 'Log-probability per token, wanted less unwanted answers',
    unit: 'nats a token',
    kinds: answers,
    compare: (wanted, unwanted) => mean(wanted.map(perToken)) - mean(unwanted.map(perToken)),
  },
  mc1: { title: 'MC1: the best answer is the likeliest', unit: 'share', kinds: ['questions'], compare: choice('mc1') },
  mc2: { title: 'MC2: probability of right answers', unit: 'probability', kinds: ['questions'], compare: choice('mc2') },
  mc3: { title: 'MC3: right answers above all wrong ones', unit: 'share', kinds: ['questions'], compare: choice('mc3') },
  'class-gap': {
    title: 'Log-probability per token of texts of the wanted class less those of the other',
    unit: 'nats a token',
    kinds: ['labelled'],
    compare: null,
  },
} as const satisfies Record<string, EffectRow>;
export type LikelihoodEffectName = keyof typeof likelihoodEffects;

/** The effect that suits examples where none is named. */
export const effectOfKind: Readonly<Record<ExampleKind, LikelihoodEffectName>> = {
  labelled: 'class-gap',
  pairs: 'token-gap',
  questions: 'log-odds',
  choices: 'log-odds',
  continuations: 'token-gap',
};

/** @throws eval/setting for an effect that these units have not; eval/units where there are too few */
export function likelihoodEffect(name: LikelihoodEffectName, part: Part, given: LikelihoodUnits, notes: readonly string[] = []): Effect {
  const row: EffectRow = likelihoodEffects[name];
  const { title, unit } = row;
  const common = { name, title, unit, part, notes, groups: given.units.map(({ group }) => group) };
  if (given.units.length === 0) throw new TillerError('eval/units', { what: `${part} row to measure the effect on` });
  if (row.compare === null) {
    if (given.kind !== 'classes') throw mismatch(name);
    return { ...common, measure: (conditions, run) => measureClasses(given.units, conditions, run) };
  }
  if (given.kind !== 'comparisons') throw mismatch(name);
  const { compare } = row;
  return { ...common, measure: (conditions, run) => measureComparisons(given.units, compare, conditions, run) };
}

const mismatch = (name: LikelihoodEffectName): TillerError =>
  new TillerError('eval/setting', {
    problem: `the effect "${name}" is measured on examples that are ${likelihoodEffects[name].kinds.join(', ')}`,
  });

type Measure = Parameters<Effect['measure']>;

async function measureComparisons(
  units: readonly Comparison[],
  compare: Compare,
  conditions: Measure[0],
  run: Measure[1],
): Promise<EffectValues> {
  const texts = units.flatMap(({ wanted, unwanted }) => [...wanted, ...unwanted]);
  const scores = await scoreTexts(texts, conditions, { positions: 'answer', kl: false }, run);
  const values = (row: readonly TextScore[]): number[] => {
    let at = 0;
    return units.map(({ wanted, unwanted }) => {
      const first = row.slice(at, at + wanted.length);
      const second = row.slice(at + wanted.length, at + wanted.length + unwanted.length);
      at += wanted.length + unwanted.length;
      return compare(first, second);
    });
  };
  return { unedited: values(scores.unedited), conditions: scores.conditions.map(values), edits: scores.conditions.map(editsOf) };
}

/**
 * The mean of the values is the mean over the wanted class less the mean over the other, each text with its log-probability per token,
 * counted from the unedited model's mean. That constant changes no difference of means; it keeps the size of log-probabilities out
 * of the intervals.
 */
async function measureClasses(units: readonly ClassText[], conditions: Measure[0], run: Measure[1]): Promise<EffectValues> {
  const counts = [0, 1].map((label) => units.filter((unit) => unit.label === label).length);
  if (counts.includes(0)) throw new TillerError('eval/units', { what: 'text of each of the two classes' });
  const scores = await scoreTexts(
    units.map(({ text }) => text),
    conditions,
    { positions: 'answer', kl: false },
    run,
  );
  const unedited = scores.unedited.map(perToken);
  const centre = mean([0, 1].map((label) => mean(unedited.filter((_, i) => units[i].label === label))));
  const values = (row: readonly TextScore[]): number[] =>
    row.map((score, i) => {
      const { label } = units[i];
      return ((label === 1 ? 1 : -1) * (perToken(score) - centre) * units.length) / counts[label];
    });
  return { unedited: values(scores.unedited), conditions: scores.conditions.map(values), edits: scores.conditions.map(editsOf) };
}

const editsOf = (row: readonly TextScore[]): number => row.reduce((total, { edits }) => total + edits, 0);
