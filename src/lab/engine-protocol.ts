import type { AdapterInfo, GenerateSummary, LoadProgress, ModelInfo, Sampling } from '../engine/engine.ts';
import type { ErrorData } from '../errors/error.ts';
import type { ExampleSet } from '../examples/example.ts';
import type { Preview } from '../examples/preview.ts';
import type { Detected, ReadOptions } from '../examples/read-examples.ts';
import type { PatchEffect, PatchPlaceRef, PatchStudy } from '../evals/patch-study.ts';
import type { PatchTexts } from '../evals/patch-texts.ts';
import type { PatchRequest } from '../evals/patching.ts';
import type { FitOutcome, PlaceView } from '../fit/report.ts';
import type { Recipe as FitRecipe } from '../fit/recipe.ts';
import type { Fitted } from '../methods/method.ts';
import type { BoundGraph, Role } from '../graph/document.ts';
import type { PointName } from '../graph/points.ts';
import type { Refusal } from '../graph/refusal.ts';
import type { ChosenFile } from '../store/files.ts';
import type { EngineChoice, EngineReason } from './engine-choice.ts';
import type { Input, ModelChoice, ModelPlace } from './experiment.ts';
import type { Palette, Recipe } from './palette.ts';

/** What crosses between the page and the engine's worker. Plain data only; errors cross as ErrorData. */

export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ErrorData };

export interface LoadRequest {
  readonly model: ModelChoice;
  /** Address of the page: the embedded model lies beside it. */
  readonly page: string;
  /** Address of the hub, without a slash at the end. */
  readonly hub: string;
  /** Access token for that hub and nobody else; null where none was given. */
  readonly token?: string | null;
  readonly engine: EngineChoice;
  /** As of `LoadOptions`. @default the engine's */
  readonly expandBelow?: number;
  /** Packed weights of fewer bytes are not kept in the browser. @default WORTH_BYTES of model/packed-cache.ts */
  readonly keepFrom?: number;
  /** The token of the runner that the model is on. It is in no place, no link and no receipt. @default none */
  readonly runnerToken?: string | null;
}

export interface Loaded {
  readonly info: ModelInfo;
  readonly choice: ModelChoice;
  readonly label: string;
  readonly licence: string | null;
  readonly chat: boolean;
  /** What was found in the folder and is not used, one sentence each. */
  readonly notes: readonly string[];
  /** Why it runs on the engine that it runs on. */
  readonly reason: EngineReason;
}

/** A token as it is drawn. */
export interface PromptToken {
  readonly id: number;
  readonly text: string;
  readonly role: Role | null;
}

export interface RunRequest {
  readonly input: Input;
  readonly graph: BoundGraph | null;
  /** Factor on the graph's strengths by lane; lane 0 is unedited (factor 0). */
  readonly factors: readonly number[];
  readonly maxTokens: number;
  readonly sampling: Sampling;
}

export interface StreamToken {
  readonly id: number;
  readonly text: string;
  /** Natural logarithm of the probability under the lane's own distribution. */
  readonly logprob: number;
}

/** Messages of a run's port, from the worker to the page. */
export type StreamMessage =
  | { readonly type: 'prompt'; readonly tokens: readonly PromptToken[] }
  | { readonly type: 'step'; readonly index: number; readonly lanes: readonly (StreamToken | null)[] };

export interface TopWord {
  readonly text: string;
  readonly logprob: number;
}

/** How steering moved the distribution that one token was drawn from. */
export interface TokenShift {
  /** Nats. */
  readonly kl: number;
  readonly before: readonly TopWord[];
  readonly after: readonly TopWord[];
}

export interface ShiftRequest {
  readonly prompt: readonly PromptToken[];
  readonly lanes: readonly { readonly ids: readonly number[]; readonly factor: number }[];
  readonly graph: BoundGraph;
}

export type LoadMessage = LoadProgress;

/** A model kept in the browser's storage. */
export interface StoredModel {
  readonly key: string;
  readonly label: string;
  readonly place: ModelPlace;
  readonly bytes: number;
  /** Bytes still to be downloaded. */
  readonly missing: number;
  /** All there and compared with its hashes. */
  readonly complete: boolean;
  /** Bytes of packed weights that are kept with it, beside `bytes`. */
  readonly packed: number;
  /** The file with the weights, where it is named. */
  readonly weights: string | null;
  /** Commit and licence as the hub had them; null for models from elsewhere. */
  readonly from: { readonly commit: string; readonly licence: string | null } | null;
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly have: number }[];
}

export interface StorageState {
  readonly models: readonly StoredModel[];
  readonly used: number;
  readonly quota: number;
  readonly persistent: boolean;
}

export interface DeviceReport {
  readonly adapter: AdapterInfo | null;
  /** Largest single buffer, bytes; null without an adapter. */
  readonly maxBuffer: number | null;
  /** Why WebGPU cannot be used here; null when it can. */
  readonly problem: ErrorData | null;
}

/** Examples as a person brings them; a file is read in the worker. */
export interface ExamplesSource {
  readonly name: string;
  readonly text?: string;
  readonly file?: Blob;
}

export interface ExamplesRequest {
  readonly source: ExamplesSource;
  readonly reading: Pick<ReadOptions, 'wanted' | 'unwanted'>;
  readonly recipe: Pick<FitRecipe, 'template' | 'token'>;
}

/** What there is to see before a fit: everything but the rows themselves. */
export interface ExamplesView {
  readonly set: Omit<ExampleSet, 'rows'>;
  readonly detected: Detected;
  readonly preview: Preview;
  /** Tokens that a text may have. */
  readonly maxTokens: number;
}

export interface FitRequest extends ExamplesRequest {
  readonly recipe: FitRecipe;
  /** Version of the lab and when the fit began, for the receipt. */
  readonly version: string;
  readonly made: string;
}

/** The outcome with all that the method fitted, so that other points of the sweep can be taken too. */
export interface FitAnswer extends FitOutcome {
  readonly fitted: Pick<Fitted, 'graph' | 'ranking' | 'chosen' | 'fixed'>;
}

export interface InspectRequest extends ExamplesRequest {
  readonly recipe: FitRecipe;
  /** All that was fitted. */
  readonly graph: BoundGraph;
  readonly layer: number;
  /** Null for a whole layer. */
  readonly head: number | null;
}

/** Two prompts and two answers, between which activations are exchanged. */
export interface PatchChoice {
  readonly texts: PatchTexts;
  readonly positions: NonNullable<PatchRequest['positions']>;
}

/** What the model reads. */
export interface PatchView extends Readonly<Record<keyof PatchTexts, readonly PromptToken[]>> {
  /** Positions that would be exchanged; empty where there is a problem. */
  readonly positions: readonly number[];
  readonly problem: ErrorData | null;
}

export interface PatchStudyRequest extends PatchChoice {
  readonly points: readonly PointName[];
}

export type PatchEvent =
  | { readonly type: 'progress'; readonly done: number; readonly total: number; readonly reused: number }
  | { readonly type: 'ends'; readonly clean: number; readonly corrupted: number }
  | { readonly type: 'effects'; readonly point: PointName; readonly effects: readonly PatchEffect[] };

export interface PatchGraphRequest {
  readonly texts: PatchTexts;
  readonly positions: readonly number[];
  readonly places: readonly PatchPlaceRef[];
}

/** The worker's methods. `id` names a request so that `cancel` can stop it. */
export interface HostApi {
  device(): Promise<Outcome<DeviceReport>>;
  load(id: number, request: LoadRequest, progress: MessagePort): Promise<Outcome<Loaded>>;
  encode(input: Input): Promise<Outcome<readonly PromptToken[]>>;
  generate(id: number, request: RunRequest, stream: MessagePort): Promise<Outcome<GenerateSummary>>;
  /** Shifts by lane and generated token. */
  shifts(id: number, request: ShiftRequest): Promise<Outcome<readonly (readonly TokenShift[])[]>>;
  direction(id: number, recipe: Recipe, previous: Palette | null): Promise<Outcome<Palette>>;
  check(graph: BoundGraph, factors: readonly number[]): Promise<Outcome<readonly Refusal[]>>;
  examples(id: number, request: ExamplesRequest): Promise<Outcome<ExamplesView>>;
  /** All rows, to be sent to a runner. */
  exampleSet(id: number, request: Pick<ExamplesRequest, 'source' | 'reading'>): Promise<Outcome<ExampleSet>>;
  /** `events` gives FitEvents until the outcome is there. */
  fit(id: number, request: FitRequest, events: MessagePort): Promise<Outcome<FitAnswer>>;
  inspect(id: number, request: InspectRequest): Promise<Outcome<PlaceView>>;
  patchView(choice: PatchChoice): Promise<Outcome<PatchView>>;
  /** `events` gives PatchEvents until the study is there. */
  patchStudy(id: number, request: PatchStudyRequest, events: MessagePort): Promise<Outcome<PatchStudy>>;
  patchGraph(id: number, request: PatchGraphRequest): Promise<Outcome<BoundGraph>>;
  cancel(id: number): Promise<void>;
  storage(): Promise<Outcome<StorageState>>;
  download(id: number, request: LoadRequest, progress: MessagePort): Promise<Outcome<null>>;
  keep(label: string, files: readonly ChosenFile[], id: number, progress: MessagePort): Promise<Outcome<ModelChoice>>;
  verify(id: number, key: string, progress: MessagePort): Promise<Outcome<null>>;
  remove(key: string): Promise<Outcome<null>>;
}
