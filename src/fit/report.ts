import type { Damage, Estimate } from '../evals/condition.ts';
import type { ChoiceMetric } from '../evals/multiple-choice.ts';
import type { SampleRepetition } from '../evals/samples.ts';
import type { Part } from '../examples/reading.ts';
import type { BoundGraph } from '../graph/document.ts';
import type { MethodReport } from '../methods/method.ts';
import type { Recipe } from './recipe.ts';

/** What a fit tells while it runs and when it has ended. All of it is plain data, so that it crosses worker and network as it is. */

export type FitStage = 'examples' | 'captures' | 'fit' | 'sweep' | 'test';

export type FitEvent =
  /** `unit` is what done and total count; `reused` of `done` came from an earlier run. */
  | {
      readonly type: 'progress';
      readonly stage: FitStage;
      readonly done: number;
      readonly total: number;
      readonly unit: string;
      readonly reused: number;
    }
  | { readonly type: 'fitted'; readonly report: MethodReport; readonly rows: Readonly<Record<Part, number>> }
  | { readonly type: 'point'; readonly point: SweepPoint }
  | { readonly type: 'note'; readonly text: string };

/** One condition of the sweep. Strength 0 is the unedited model. */
export interface SweepPoint {
  readonly strength: number;
  /** The layer of the fit where the recipe names several. */
  readonly layer?: number;
  /** Places steered. */
  readonly count: number;
  readonly effect: Estimate;
  /** Effect minus the unedited model's, paired by unit. */
  readonly gain: Estimate;
  readonly damage: Damage;
  /** Edits that acted while the effect was measured. */
  readonly edits: number;
}

/** A condition that was measured on test rows, once. */
export interface TestRow {
  /** `unedited`, `chosen` (`method's own dose` where nothing is recommended), `random direction`, `shuffled places`, `flipped sign`. */
  readonly name: string;
  readonly effect: Estimate;
  readonly gain: Estimate;
  readonly damage: Damage;
  /** MC1, MC2, MC3 where the examples are questions with answers. */
  readonly multipleChoice?: Readonly<Record<ChoiceMetric, Estimate>>;
  /** The same less the unedited model's, paired by question. */
  readonly multipleChoiceGain?: Readonly<Record<ChoiceMetric, Estimate>>;
  /** How repetitive continuations of test prompts are; null where nothing was sampled. */
  readonly repetition: SampleRepetition | null;
}

export interface FitReport {
  readonly recipe: Recipe;
  readonly method: MethodReport;
  readonly rows: Readonly<Record<Part, number>>;
  /** Readings captured; readings left out, with reasons as sentences, are in notes. */
  readonly readings: number;
  readonly effectName: string;
  /** What the effect's numbers are: `nats a token`, `log-odds`, ... */
  readonly effectUnit: string;
  readonly sweep: readonly SweepPoint[];
  /** Indices into `sweep` of the Pareto frontier, by growing damage. */
  readonly frontier: readonly number[];
  /** Index into `sweep`; the unedited point where nothing is worth its cost. */
  readonly recommended: number | null;
  /** Why that point, one sentence; empty without a sweep. */
  readonly reason: string;
  /** Smallest strength (at the recommended number of places) at which the text falls apart; null where none was reached. */
  readonly cliff: number | null;
  readonly test: readonly TestRow[];
  /** The unedited model with the recipe's instruction in front of every test text; null where there is none. What that costs is not defined. */
  readonly promptOnly: { readonly effect: Estimate; readonly gain: Estimate } | null;
  /** Where the test continuations were sampled: as is and at the chosen point, for people to read. Empty where nothing was sampled. */
  readonly samples: readonly { readonly prompt: string; readonly unedited: string; readonly chosen: string | null }[];
  readonly notes: readonly string[];
  readonly receipt: Readonly<Record<string, unknown>>;
}

export interface FitOutcome {
  /** The recommended graph: strength 1 is the recommended dose. Where nothing is recommended, the method's own. */
  readonly graph: BoundGraph;
  readonly report: FitReport;
}

/** One head or layer looked at closely: its activations by class, and how well its direction tells the classes apart. */
export interface PlaceView {
  readonly layer: number;
  readonly head: number | null;
  /** First two principal components of the activations, of training and validation rows. */
  readonly points: readonly { readonly x: number; readonly y: number; readonly label: 0 | 1; readonly part: Part; readonly text: string }[];
  /** Share of variance of the two components. */
  readonly explained: readonly [number, number];
  /** ROC of the fitted direction on validation rows, from (0,0) to (1,1). */
  readonly roc: readonly { readonly falsePositive: number; readonly truePositive: number }[];
  readonly auc: number;
}
