import type { TokenRule } from '../examples/reading.ts';
import type { Settings } from '../methods/method.ts';

/** Everything a fit is made of besides the model and the examples, as data: command line and page make the same one. */
export interface Recipe {
  /** Name of a row of the methods table. */
  readonly method: string;
  /** What differs from the method's defaults. */
  readonly settings: Settings;
  /** Whether examples are put into the model's chat template. @default 'none' */
  readonly template: 'none' | 'chat';
  readonly token: TokenRule;
  readonly split: SplitChoice;
  /** Seeds split, ties, random directions, bootstraps; 0 to 2^32 - 1. */
  readonly seed: number;
  /** Null: the direction is fitted and nothing is measured. */
  readonly sweep: SweepChoice | null;
  /**
   * Words that the behaviour begins with (`I cannot`), by which directional ablation chooses its direction. Empty: it takes the one that
   * tells the classes apart best. Other methods have no use for them.
   */
  readonly behaviour: readonly string[];
  /** Rows of examples used at most, taken by seed; null for all. */
  readonly limit: number | null;
}

export type SplitChoice =
  | { readonly kind: 'fractions'; readonly validation: number; readonly test: number }
  /** ITI's: contiguous halves by question, one of them the test half; validation is a fifth of the other. */
  | { readonly kind: 'halves'; readonly testHalf: 0 | 1 };

export interface SweepChoice {
  /** Factors on the method's own dose; 0 (unedited) is always measured. */
  readonly strengths: readonly number[];
  /** Numbers of places, the best first; empty for the method's own number. */
  readonly counts: readonly number[];
  /**
   * Layers to fit at, each by itself, for methods with a setting `layer`; they are compared in the same sweep. Empty: the method's own
   * choice. @default none
   */
  readonly layers?: readonly number[];
  /** Row of the effects table, or `auto` for the one that suits the examples. */
  readonly effect: string;
  /** Neutral texts that damage is measured on. */
  readonly neutral: 'general' | 'stories' | { readonly texts: readonly string[] };
  /** Nats a token of KL that a recommended point may cost. */
  readonly klBudget: number;
  /** Whether to measure controls beside the chosen point: random direction, shuffled places, flipped sign. */
  readonly controls: boolean;
  /** Test prompts that are continued, to see how repetitive the text becomes; 0 for none. @default 8 */
  readonly samples?: number;
  /** An instruction in front of every test text of the unedited model: the control that only prompts. @default none */
  readonly instruction?: string;
}

export const defaultRecipe: Recipe = {
  method: 'iti',
  settings: {},
  template: 'none',
  token: 'last',
  split: { kind: 'fractions', validation: 0.2, test: 0.2 },
  seed: 0,
  sweep: { strengths: [0.125, 0.25, 0.5, 1, 1.5, 2], counts: [], effect: 'auto', neutral: 'general', klBudget: 0.1, controls: true },
  behaviour: [],
  limit: null,
};
