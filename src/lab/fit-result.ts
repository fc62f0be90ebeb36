import type { ExampleSet } from '../examples/example.ts';
import type { FitAnswer } from './engine-protocol.ts';
import type { PlaceScore } from '../methods/method.ts';
import type { Recipe } from '../fit/recipe.ts';
import type { FitChoice } from './fit-choice.ts';

/** A finished fit as the page keeps it. */
export interface FitResult {
  readonly version: 1;
  readonly choice: FitChoice;
  /** The recipe as it was asked for, before the page filled in what was left open for this model; a refit elsewhere fills it in anew. */
  readonly asked?: Recipe;
  readonly outcome: FitAnswer;
  readonly set: Pick<ExampleSet, 'name' | 'kind' | 'classes' | 'sha256'>;
  readonly modelLabel: string;
  /** Identity of the weights that it was fitted on. */
  readonly identity: string;
  readonly chance: number;
}

/** What the browser kept, if it is of this version. */
export function readResult(kept: unknown): FitResult | null {
  if (typeof kept !== 'object' || kept === null) return null;
  const result = kept as Partial<FitResult>;
  return result.version === 1 && result.outcome?.report !== undefined && result.outcome.fitted !== undefined && result.choice !== undefined
    ? (result as FitResult)
    : null;
}

/** When a fit was made, as its receipt says: by this it is named. */
export function receiptTime({ outcome }: Pick<FitResult, 'outcome'>): string {
  const { made } = outcome.report.receipt;
  return typeof made === 'string' ? made : '';
}

/** Whether two fits are of different models, or of the same in different places. */
export const fittedElsewhere = (a: Pick<FitResult, 'identity' | 'modelLabel'>, b: Pick<FitResult, 'identity' | 'modelLabel'>): boolean =>
  a.identity !== b.identity || a.modelLabel !== b.modelLabel;

/** What the places of a report are called. */
export function placesName(places: readonly PlaceScore[]): 'heads' | 'layers' | 'elements' | 'places' {
  const [first] = places;
  if (first === undefined) return 'places';
  if (first.element !== undefined) return 'elements';
  return first.head === undefined ? 'layers' : 'heads';
}

/** A class's name for people: marks and numbers that stand for it become words. */
export const className = (name: string, label: 0 | 1): string => (/^[+\-−–01]+$/.test(name) ? (label === 1 ? 'wanted' : 'unwanted') : name);

/** Share of the larger class: what guessing gets right. */
export function chanceOf(balance: readonly [number, number]): number {
  const total = balance[0] + balance[1];
  return total === 0 ? 0.5 : Math.max(...balance) / total;
}
