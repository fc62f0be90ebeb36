import type { BoundGraph, Lane, Role, Selector } from '../graph/document.ts';
import type { ModelShape, PointName } from '../graph/points.ts';
import type { Refusal } from '../graph/refusal.ts';
import type { Quantization } from '../model/weights.ts';

/** Something that runs a model with an intervention graph. Several exist; one conformance suite holds them together. */
export interface Engine {
  readonly model: ModelInfo;
  /**
   * Tokens of every lane as they come; the return value is the summary. All lanes share the prompt and the random stream.
   * Interventions are an argument: nothing of a request outlives it but cached keys and values, keyed by what touched them.
   * Throws request/invalid, request/context, request/aborted, graph/refused, graph/model-mismatch, device/*.
   */
  generate(request: GenerateRequest): AsyncGenerator<Step, GenerateSummary, void>;
  score(request: ScoreRequest): Promise<Scores>;
  capture(request: CaptureRequest): Promise<Capture>;
  /** What it cannot run, each with a reason and a remedy; empty means it can. */
  check(graph: BoundGraph, lanes?: readonly Lane[]): Refusal[];
  dispose(): Promise<void>;
}

export interface AdapterInfo {
  readonly name: string;
  /** A software adapter (lavapipe, SwiftShader, WARP) runs on the CPU; 'cpu' is the reference engine. */
  readonly kind: 'hardware' | 'software' | 'cpu';
  readonly features: readonly string[];
}

export interface ModelInfo extends ModelShape {
  readonly engine: 'webgpu' | 'onnx' | 'reference';
  readonly vocab: number;
  readonly maxPositions: number;
  readonly points: readonly { readonly point: PointName; readonly width: number }[];
  readonly quantization: Quantization;
  /**
   * The arithmetic that runs: f16 products with f32 accumulators, f32, or int8: products of quantised weights with activations that are
   * rounded to int8 in blocks, sums in f32.
   */
  readonly precision: 'f16' | 'f32' | 'int8';
  readonly subgroups: boolean;
  readonly adapter: AdapterInfo;
  readonly limits: { readonly maxContext: number; readonly maxLanes: number };
  /** Bytes. */
  readonly memory: { readonly weights: number; readonly cachePerToken: number; readonly scratch: number };
  /** Identity of the weights, for receipts. */
  readonly identity: string;
  readonly eosIds: readonly number[];
  /** Result of the load-time self-test; null when no fingerprint is stored for these weights. */
  readonly selfTest: { readonly maxDifference: number; readonly allowed: number } | null;
  /** Which kernel variants were chosen and why, one line each. */
  readonly kernels: readonly string[];
  /** Address of the runner that holds the model; absent where it runs here. */
  readonly runner?: string;
}

export interface Sampling {
  /** 0 is greedy. @default 0 */
  readonly temperature?: number;
  /** 0 keeps all. @default 0 */
  readonly topK?: number;
  /** @default 1 */
  readonly topP?: number;
  /** @default 0 */
  readonly seed?: number;
}

export interface GenerateRequest {
  readonly prompt: readonly number[];
  /** Role of each prompt token, where the chat template tells them apart. */
  readonly roles?: readonly (Role | null)[];
  readonly graph?: BoundGraph | null;
  /** @default one unedited lane, and with a graph a second one with factor 1 */
  readonly lanes?: readonly Lane[];
  readonly maxTokens: number;
  /** Token ids that end a lane; the ending token is delivered. @default the model's eosIds */
  readonly stop?: readonly number[];
  readonly sampling?: Sampling;
  readonly signal?: AbortSignal;
}

export interface LaneStep {
  readonly token: number;
  /** Natural logarithm of the token's probability under this lane's distribution at temperature 1. */
  readonly logprob: number;
}

export interface Step {
  /** 0 for the first generated token. */
  readonly index: number;
  /** By lane; null once a lane has ended. */
  readonly lanes: readonly (LaneStep | null)[];
}

export interface GenerateSummary {
  /** By lane, edits applied by node id (0 where a node matched nothing). */
  readonly edits: readonly Readonly<Record<string, number>>[];
  /** Node ids whose edit acted nowhere in any lane where it was active: say so. */
  readonly unmatched: readonly string[];
  readonly stopped: 'length' | 'stop' | 'aborted';
  readonly timing: {
    readonly promptTokens: number;
    /** Prompt tokens whose keys and values came from the prefix cache. */
    readonly reusedTokens: number;
    readonly prefillMs: number;
    readonly decodeMs: number;
    readonly decodedTokens: number;
    readonly dispatches: number;
    readonly submits: number;
  };
}

export interface SequenceInput {
  readonly ids: readonly number[];
  /** @default the whole sequence is the prompt */
  readonly promptLength?: number;
  readonly roles?: readonly (Role | null)[];
}

export interface ScoreRequest {
  readonly sequences: readonly SequenceInput[];
  readonly graph?: BoundGraph | null;
  /** Factor on every strength of the graph: one edited condition. @default 1 */
  readonly factor?: number;
  /**
   * Several edited conditions in one run, as lanes are given to `generate`; instead of `factor`. Conditions share every position that no
   * edit of theirs has reached, and sequences share their common beginnings. At most 4,096; they need not fit `limits.maxLanes` at once.
   * A source (`from.lane`) counts the unedited condition, named `as is`, as lane 0 and the first of these as lane 1.
   */
  readonly lanes?: readonly Lane[];
  /**
   * `answer`: only tokens from promptLength on, which then must be given, are scored, and logits are computed only where they are needed.
   * @default 'all'
   */
  readonly positions?: 'all' | 'answer';
  /** Whether KL(unedited || edited) is wanted; it costs a second look at every distribution. @default true */
  readonly kl?: boolean;
  /** Also give the n most likely tokens at every scored position, before and after. @default 0 */
  readonly top?: number;
  /** Also give logits (T x vocab) of the edited run, or of the unedited one when there is no graph. @default false */
  readonly logits?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface TopToken {
  readonly id: number;
  readonly logprob: number;
}

/** One edited condition of a sequence. */
export interface LaneScore {
  /** As SequenceScore.logprobs, under the graph with this lane's strengths. */
  readonly logprobs: Float32Array;
  /** KL(unedited || edited) of each of these distributions; null where `kl: false`. */
  readonly kl: Float32Array | null;
  /** Edits applied by node id. */
  readonly edits: Readonly<Record<string, number>>;
}

export interface SequenceScore {
  /** Position of the first scored token: 1, or promptLength with `positions: 'answer'`. */
  readonly from: number;
  /** T - from values: [i] is log p(token from+i | tokens before it), unedited. */
  readonly logprobs: Float32Array;
  /** By lane of the request; one with `factor`, none without a graph. */
  readonly lanes: readonly LaneScore[];
  /** The first lane's `logprobs`; null without a graph. */
  readonly edited: Float32Array | null;
  /** The first lane's `kl`; null without a graph. */
  readonly kl: Float32Array | null;
  /** T entries each, where asked for; of the first lane. With `positions: 'answer'` they are empty before the last prompt token. */
  readonly top: { readonly unedited: readonly (readonly TopToken[])[]; readonly edited: readonly (readonly TopToken[])[] | null } | null;
  readonly logits: Float32Array | null;
  /** The first lane's `edits`. */
  readonly edits: Readonly<Record<string, number>>;
}

/** How much of the work was done once for several: what sharing saved. */
export interface SharedWork {
  /** Positions of all sequences under all conditions, the unedited one included. */
  readonly positions: number;
  /** Positions that were computed. */
  readonly computed: number;
}

export interface Scores {
  readonly sequences: readonly SequenceScore[];
  readonly unmatched: readonly string[];
  readonly work: SharedWork;
}

/** Sequences share their common beginnings; layers above the deepest one asked for are not run, nor positions after the last one kept. */
export interface CaptureRequest {
  readonly sequences: readonly SequenceInput[];
  /** `layers` absent: all of them. */
  readonly points: readonly { readonly point: PointName; readonly layers?: readonly number[] }[];
  /** Positions to keep. @default 'all' */
  readonly at?: Selector;
  readonly graph?: BoundGraph | null;
  /** @default 1 */
  readonly factor?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface CaptureArray {
  readonly point: PointName;
  /** -1 for points without a layer. */
  readonly layer: number;
  readonly sequence: number;
  readonly positions: readonly number[];
  readonly tokens: readonly number[];
  readonly width: number;
  /** positions.length x width, after any edit at the point. */
  readonly data: Float32Array;
}

export interface Capture {
  readonly arrays: readonly CaptureArray[];
  readonly edits: readonly Readonly<Record<string, number>>[];
  readonly unmatched: readonly string[];
  readonly work: SharedWork;
}

/** How loading reports itself: one line at a time, with a fraction where one is known. */
export interface LoadProgress {
  readonly stage: 'config' | 'download' | 'engine' | 'threads' | 'verify' | 'upload' | 'compile' | 'warm-up' | 'self-test';
  readonly done: number;
  readonly total: number;
  readonly unit: 'bytes' | 'kernels' | 'steps';
}
