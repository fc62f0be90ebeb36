import type { ExampleSet } from '../examples/example.ts';
import type { EvalPart } from '../evals/run.ts';
import type { Primer } from '../evals/primer.ts';
import type { FitEvent, FitStage } from '../fit/report.ts';
import type { Recipe, SweepChoice } from '../fit/recipe.ts';
import type { GraphDocument } from '../graph/document.ts';
import type { ErrorData } from '../errors/error.ts';

/** Grows when the same document would mean other work: jobs of older programs are then other jobs. */
export const JOB_FORMAT = 1;

/** What a runner is asked to do, as data: everything the command line's verb of the same name takes, but how the model is run. */
export type JobDocument = FitJob | SweepJob | EvaluateJob;
export type JobKind = JobDocument['kind'];

interface Job {
  readonly tiller: typeof JOB_FORMAT;
  /** Name of a model of the runner, as its capabilities list it. */
  readonly model: string;
}

export type JobExamples = Pick<ExampleSet, 'name' | 'kind' | 'classes' | 'rows' | 'problems'>;

/** `tiller fit`. */
export interface FitJob extends Job {
  readonly kind: 'fit';
  readonly examples: JobExamples;
  readonly recipe: Recipe;
  /** The fit is repeated with this many seeds, from the recipe's on. */
  readonly seeds: number;
}

/** `tiller sweep`: a graph measured over strengths and numbers of its places. The recipe's `sweep` is not null. */
export interface SweepJob extends Job {
  readonly kind: 'sweep';
  readonly examples: JobExamples;
  readonly recipe: Recipe;
  readonly graph: GraphDocument;
}

/** `tiller mc` and `tiller damage`. */
export interface EvaluateJob extends Job {
  readonly kind: 'evaluate';
  readonly evaluation: Evaluation;
  /** Null: only the unedited model is measured, and there are no factors. */
  readonly graph: GraphDocument | null;
  readonly factors: readonly number[];
  readonly seed: number;
}

export type Evaluation = ChoiceEvaluation | DamageEvaluation;

export interface ChoiceEvaluation {
  readonly type: 'multiple-choice';
  readonly examples: JobExamples;
  readonly primer: Primer;
  readonly template: 'none' | 'chat';
  readonly limit: number | null;
}

export interface DamageEvaluation {
  readonly type: 'damage';
  readonly neutral: SweepChoice['neutral'];
  /** Tokens of a neutral text used at most. */
  readonly maxLength: number;
}

/**
 * `received`: kept, and vectors of its graph are still to come (`missing`). `queued`: waits for a runner. `running`: a runner works on it,
 * or it worked until just now and the others have not noticed yet. The last three are ends.
 */
export const jobStates = ['received', 'queued', 'running', 'done', 'failed', 'cancelled'] as const;
export type JobState = (typeof jobStates)[number];
export const jobEnded = (state: JobState): boolean => state === 'done' || state === 'failed' || state === 'cancelled';

export interface JobProgress {
  readonly stage: FitStage | 'scoring' | 'loading';
  readonly done: number;
  readonly total: number;
  /** What done and total count. */
  readonly unit: string;
  /** Of `done`, what an earlier run had left. */
  readonly reused: number;
}

/** What an evaluation has measured so far, by condition, the unedited model (`as is`, factor 0) first. A later part is of more units. */
export interface PartRow extends Omit<EvalPart, 'values'> {
  readonly type: 'part';
  readonly conditions: readonly { readonly name: string; readonly factor: number; readonly values: Readonly<Record<string, number>> }[];
}

/** What a job tells before its end, each once: in this order and never taken back. */
export type JobRow = Exclude<FitEvent, { readonly type: 'progress' }> | PartRow;

/** What a job says while it runs. */
export type JobReport = ({ readonly type: 'progress' } & JobProgress) | JobRow;

/** How a job stands: what a runner tells of it. */
export interface JobView {
  /** Hex SHA-256 of what is asked (job-identity.ts). */
  readonly id: string;
  readonly kind: JobKind;
  readonly model: string;
  readonly state: JobState;
  /** Place in the queue, 1 is the next; null unless queued. */
  readonly position: number | null;
  /** Hashes of vectors that the job still needs; empty unless `received`. */
  readonly missing: readonly string[];
  readonly progress: JobProgress | null;
  /** Why it failed. */
  readonly error: ErrorData | null;
  /** Somebody asked for its end; a running job ends after the unit it is at. */
  readonly cancelling: boolean;
  /** Name of the runner that works or worked on it. */
  readonly runner: string | null;
  /** How often it was begun: more than 1 where a runner was lost. */
  readonly attempt: number;
  /** Grows with every change. */
  readonly revision: number;
  /** ISO 8601. */
  readonly times: { readonly received: string; readonly started: string | null; readonly changed: string; readonly ended: string | null };
}

/** A view with rows from the one asked for on. */
export interface JobDetails extends JobView {
  readonly rows: readonly JobRow[];
  /** Number of rows before these and of these together: where to go on. */
  readonly rowsEnd: number;
}

/** One line of the stream of a job's events: every row once, the view when it changed; the last view is of an ended job. */
export type JobEvent =
  { readonly type: 'view'; readonly view: JobView } | { readonly type: 'row'; readonly index: number; readonly row: JobRow };

/** What is sent to begin a job. */
export interface JobSubmission {
  readonly job: JobDocument;
  /** Vectors of the graph by hex SHA-256 of their little-endian f32 values, as base64; those the runner has may be left out. */
  readonly tensors?: Readonly<Record<string, string>>;
  /** Begin a failed or cancelled job again; without it, it is only looked at. @default false */
  readonly again?: boolean;
}
