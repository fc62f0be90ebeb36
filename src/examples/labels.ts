import { TillerError } from '../errors/error.ts';

/** Words for two classes as data sets write them: unwanted, wanted. Compared in lower case. */
const knownPairs: readonly (readonly [string, string])[] = [
  ['0', '1'],
  ['-1', '1'],
  ['-', '+'],
  ['−', '+'],
  ['–', '+'],
  ['false', 'true'],
  ['no', 'yes'],
  ['n', 'y'],
  ['f', 't'],
  ['neg', 'pos'],
  ['negative', 'positive'],
  ['bad', 'good'],
  ['sad', 'happy'],
  ['wrong', 'right'],
  ['incorrect', 'correct'],
  ['unwanted', 'wanted'],
  ['rejected', 'chosen'],
  ['informal', 'formal'],
  ['casual', 'formal'],
  ['impolite', 'polite'],
  ['rude', 'polite'],
  ['past', 'present'],
];

export interface LabelOptions {
  /** Labels of the wanted class, as written in the source. */
  readonly wanted?: readonly string[];
  /** Labels of the other class; absent: all that are not `wanted`. */
  readonly unwanted?: readonly string[];
}

export interface LabelRule {
  /** Names of the classes with label 0 and 1. */
  readonly classes: readonly [string, string];
  /** Null for a label that belongs to neither class. */
  readonly label: (raw: string) => 0 | 1 | null;
  /** How the labels were understood, for people. */
  readonly notes: readonly string[];
}

const words = new Set(knownPairs.flat());

/** Whether a value in lower case is a number or a known name of a class. */
export const isLabelWord = (value: string): boolean => words.has(value) || (value !== '' && Number.isFinite(Number(value)));

const SHOWN = 12;
const key = (raw: string): string => raw.trim().toLowerCase();
const listed = (labels: readonly string[]): string =>
  labels.slice(0, SHOWN).join(', ') + (labels.length > SHOWN ? `, and ${labels.length - SHOWN} more` : '');

/**
 * Which labels are the wanted class. In this order: as told; a known pair of words; numbers above and below the middle of their
 * range; two labels of any other name, of which the first one in the source is wanted.
 * @throws examples/labels where the labels are one or more than two classes
 */
export function labelRule(name: string, raws: readonly string[], options: LabelOptions = {}): LabelRule {
  const seen = new Map<string, string>();
  for (const raw of raws) if (!seen.has(key(raw))) seen.set(key(raw), raw.trim());
  const labels = [...seen.keys()];
  if (options.wanted !== undefined) return told(name, labels, options.wanted, options.unwanted);
  if (options.unwanted !== undefined) {
    const unwanted = options.unwanted.map(key);
    return told(name, labels, labels.filter((label) => !unwanted.includes(label)), options.unwanted); // prettier-ignore
  }
  const pair = knownPairs.find(([off, on]) => labels.includes(on) && labels.includes(off) && labels.length === 2);
  if (pair) return rule([pair[0]], [pair[1]], [seen.get(pair[0])!, seen.get(pair[1])!], []);
  const numbers = labels.map(Number);
  if (labels.length >= 2 && labels.every((label) => label !== '' && Number.isFinite(Number(label)))) return rated(labels, numbers);
  if (labels.length === 2) {
    const [on, off] = labels;
    const note = `"${seen.get(on)!}" is taken as the wanted class because it comes first, "${seen.get(off)!}" as the other.`;
    return rule([off], [on], [seen.get(off)!, seen.get(on)!], [note]);
  }
  const problem = labels.length === 1 ? `every row has the label "${labels[0]}"` : `there are ${labels.length} labels: ${listed(labels)}`;
  throw new TillerError('examples/labels', { name, problem: labels.length === 0 ? 'no row has a label' : problem });
}

function rule(off: readonly string[], on: readonly string[], classes: readonly [string, string], notes: readonly string[]): LabelRule {
  const wanted = new Set(on);
  const unwanted = new Set(off);
  return { classes, notes, label: (raw) => (wanted.has(key(raw)) ? 1 : unwanted.has(key(raw)) ? 0 : null) };
}

function told(name: string, labels: readonly string[], wanted: readonly string[], unwanted: readonly string[] | undefined): LabelRule {
  const on = wanted.map(key);
  const off = unwanted?.map(key) ?? labels.filter((label) => !on.includes(label));
  const fail = (problem: string): never => {
    throw new TillerError('examples/labels', { name, problem });
  };
  const both = on.find((label) => off.includes(label));
  if (both !== undefined) return fail(`"${both}" is in both classes`);
  const missing = [...on, ...(unwanted === undefined ? [] : off)].find((label) => !labels.includes(label));
  if (missing !== undefined) return fail(`no row has the label "${missing}"; there are ${listed(labels)}`);
  if (on.length === 0 || off.length === 0) return fail(`all labels (${listed(labels)}) are in one class`);
  const left = labels.filter((label) => !on.includes(label) && !off.includes(label));
  const notes = left.length > 0 ? [`Rows with other labels (${listed(left)}) are left out.`] : [];
  return rule(off, on, [off.join(', '), on.join(', ')], notes);
}

/** Ratings: what lies above the middle of the range is wanted, what lies below is not, and the middle itself is neither. */
function rated(labels: readonly string[], numbers: readonly number[]): LabelRule {
  let least = Infinity;
  let most = -Infinity;
  for (const number of numbers) [least, most] = [Math.min(least, number), Math.max(most, number)];
  const middle = (least + most) / 2;
  const on = labels.filter((_, i) => numbers[i] > middle);
  const off = labels.filter((_, i) => numbers[i] < middle);
  const neither = labels.filter((_, i) => numbers[i] === middle);
  const left = neither.length > 0 ? `; rows with ${neither[0]} are left out` : '';
  const note = `Labels are numbers from ${least} to ${most}: above ${middle} is the wanted class, below it the other${left}.`;
  return rule(off, on, [listed([...off].sort()), listed([...on].sort())], [note]);
}
