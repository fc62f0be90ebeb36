import type { Damage } from '../evals/condition.ts';
import type { ChoiceEstimates } from '../evals/multiple-choice.ts';
import type { FitReport } from '../fit/report.ts';
import type { Fitted } from '../methods/method.ts';

/** What a job gives at its end, as JSON. The command line makes the same of it as of a run of its own. */
export type JobResult = FitResult | SweepResult | ChoiceResult | DamageResult;

interface Result {
  /** Model, engine and adapter that it was computed with, as `--json` has them. */
  readonly engine: Readonly<Record<string, unknown>>;
}

/** Text of `G.json`, and base64 of `G.safetensors` where it has vectors. */
export interface WrittenGraph {
  readonly json: string;
  readonly safetensors: string | null;
}

export interface FitResult extends Result {
  readonly kind: 'fit';
  /** The first seed's. */
  readonly graph: WrittenGraph;
  /** All that the first seed's method fitted, so that other points of its sweep can be taken too. */
  readonly fitted: Pick<Fitted, 'ranking' | 'chosen' | 'fixed'> & { readonly graph: WrittenGraph };
  /** Hash of the set of examples. */
  readonly data: string;
  /** By seed. */
  readonly reports: readonly FitReport[];
}

export interface SweepResult extends Result {
  readonly kind: 'sweep';
  readonly graph: string;
  readonly data: string;
  readonly report: FitReport;
}

export interface ChoiceResult extends Result {
  readonly kind: 'multiple-choice';
  /** Hash of the graph; null where only the unedited model was measured. */
  readonly graph: string | null;
  readonly data: { readonly sha256: string; readonly questions: number; readonly answers: number };
  readonly primer: string;
  readonly seed: number;
  /** The unedited model (`as is`, factor 0) first. */
  readonly conditions: readonly ({ readonly name: string; readonly factor: number } & ChoiceEstimates)[];
  readonly notes: readonly string[];
}

export interface DamageResult extends Result {
  readonly kind: 'damage';
  readonly graph: string | null;
  readonly neutral: { readonly sha256: string; readonly documents: number; readonly tokens: number };
  readonly seed: number;
  readonly conditions: readonly ({ readonly name: string; readonly factor: number; readonly edits: number } & Damage)[];
  readonly notes: readonly string[];
}
