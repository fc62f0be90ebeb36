import * as v from 'valibot';
import { defaultRecipe, type Recipe, type SweepChoice } from '../fit/recipe.ts';
import { efforts, type Effort } from './fit-effort.ts';

/** Where examples come from. The text of a built-in set is fetched; the file itself is kept apart, because it may be large. */
export type SourceChoice =
  | { readonly kind: 'pasted'; readonly text: string }
  | { readonly kind: 'set'; readonly name: string }
  | { readonly kind: 'file'; readonly name: string };

/** Everything that a person chose on the Fit page. */
export interface FitChoice {
  readonly source: SourceChoice;
  /** Labels of the two classes where they are not told from the data; empty to tell them. */
  readonly labels: { readonly wanted: string; readonly unwanted: string };
  readonly effort: Effort;
  /** Empty lists of strengths and numbers of places stand for those of the effort. */
  readonly recipe: Recipe;
}

const number = v.pipe(v.number(), v.finite());
const text = v.pipe(v.string(), v.maxLength(4_000_000));
const name = v.pipe(v.string(), v.maxLength(1000));

const recipe = v.object({
  method: name,
  settings: v.record(v.string(), v.union([number, v.string(), v.boolean()])),
  template: v.picklist(['none', 'chat']),
  token: v.union([v.picklist(['last', 'answer-last', 'answer-first']), v.object({ offset: number })]),
  split: v.variant('kind', [
    v.object({ kind: v.literal('fractions'), validation: number, test: number }),
    v.object({ kind: v.literal('halves'), testHalf: v.picklist([0, 1]) }),
  ]),
  seed: number,
  sweep: v.nullable(
    v.object({
      strengths: v.array(number),
      counts: v.array(number),
      effect: name,
      neutral: v.union([v.picklist(['general', 'stories']), v.object({ texts: v.array(v.string()) })]),
      klBudget: number,
      controls: v.boolean(),
    }),
  ),
  limit: v.nullable(number),
  behaviour: v.optional(v.array(v.string()), []),
});

const choice = v.object({
  source: v.variant('kind', [
    v.object({ kind: v.literal('pasted'), text }),
    v.object({ kind: v.literal('set'), name }),
    v.object({ kind: v.literal('file'), name }),
  ]),
  labels: v.object({ wanted: name, unwanted: name }),
  effort: v.picklist(efforts),
  recipe,
});

/** Choices that are left open are made by the page or the fit. */
export const openSweep: SweepChoice | null = defaultRecipe.sweep && { ...defaultRecipe.sweep, strengths: [], counts: [] };

export const defaultChoice: FitChoice = {
  source: { kind: 'pasted', text: '' },
  labels: { wanted: '', unwanted: '' },
  effort: 'auto',
  recipe: { ...defaultRecipe, sweep: openSweep },
};

/** What the last visit left; null where there is none or it is of another version. */
export function readChoice(stored: unknown): FitChoice | null {
  const result = v.safeParse(choice, stored);
  return result.success ? result.output : null;
}

/** Labels typed into one field, separated by commas; absent where the field is empty. */
export function labelList(typed: string): readonly string[] | undefined {
  const labels = typed.split(',').map((label) => label.trim()).filter((label) => label !== ''); // prettier-ignore
  return labels.length > 0 ? labels : undefined;
}

/** Numbers typed into one field, separated by commas or spaces; null where one is none or stands twice. */
export function numberList(typed: string, whole: boolean): readonly number[] | null {
  const parts = typed.replaceAll('−', '-').split(/[\s,;]+/).filter((part) => part !== ''); // prettier-ignore
  const values = parts.map(Number);
  const fine = values.every((value) => Number.isFinite(value) && (!whole || (Number.isInteger(value) && value >= 1)));
  return fine && new Set(values).size === values.length ? values : null;
}
