import type { CaptureRequest, GenerateRequest, LoadProgress, ModelInfo, ScoreRequest, Step } from '../../src/engine/engine.ts';
import type { ErrorData } from '../../src/errors/error.ts';
import type { GraphDocument, Lane, VectorTable } from '../../src/graph/document.ts';
import type { Json } from '../../src/evals/unit-store.ts';
import type { JobReport } from '../../src/jobs/job.ts';
import type { JobWork } from '../jobs/job-place.ts';
import type { CacheMode } from '../weight-cache.ts';
import type { Quantization } from '../../src/model/weights.ts';

/** What the server and an engine's process say to each other. Everything can be cloned. */

export type ServedEngine = 'auto' | 'webgpu' | 'onnx' | 'reference';

/** A model as its process opens it. */
export interface EngineModel {
  readonly name: string;
  /** Folder of the files. Empty where the engine is there already. */
  readonly folder: string;
  /** Weight file in it, where there are several kinds. */
  readonly weights: string | null;
  readonly engine: ServedEngine;
  /** Null: what suits the file. */
  readonly quantization: Quantization | null;
  readonly precision: 'auto' | 'f32' | 'f16';
  readonly weightCache: CacheMode;
  /** Load whatever the count of memory says. */
  readonly anyway: boolean;
  /** Null: the engine's own. */
  readonly maxContext: number | null;
  /** Folder for the captures of jobs. */
  readonly results: string;
}

/** A graph as the engine's process gets it: parsed, its vectors beside it, not yet bound. */
export interface SentGraph {
  readonly document: GraphDocument;
  readonly vectors: VectorTable;
}

type Sent<R> = Omit<R, 'graph' | 'signal' | 'onProgress' | 'lanes'> & {
  readonly graph: SentGraph | null;
  readonly lanes?: readonly Lane[];
};

export type Work =
  | { readonly kind: 'generate'; readonly request: Sent<GenerateRequest> }
  | { readonly kind: 'score'; readonly request: Sent<ScoreRequest> }
  | { readonly kind: 'capture'; readonly request: Omit<Sent<CaptureRequest>, 'lanes'> }
  /** A job of the queue; what it is and gives is the business of runner/jobs. */
  | { readonly kind: 'job'; readonly job: JobWork };

export type ToEngine =
  | { readonly type: 'open'; readonly model: EngineModel }
  | { readonly type: 'work'; readonly id: number; readonly work: Work }
  /** The last step of a run is here: the next may be computed. */
  | { readonly type: 'heard'; readonly id: number }
  | { readonly type: 'stop'; readonly id: number }
  /** What became of a call for a finished unit. */
  | { readonly type: 'unit'; readonly call: number; readonly value: unknown; readonly error: ErrorData | null }
  | { readonly type: 'close' };

export type FromEngine =
  /** The event loop turns. `memory`: bytes that the process has resident. */
  | { readonly type: 'beat'; readonly memory: number }
  | { readonly type: 'loading'; readonly progress: LoadProgress }
  | { readonly type: 'ready'; readonly info: ModelInfo }
  | { readonly type: 'unopened'; readonly error: ErrorData }
  /** A token of every lane; the next is computed when this one was heard. */
  | { readonly type: 'step'; readonly id: number; readonly step: Step }
  | { readonly type: 'progress'; readonly id: number; readonly done: number; readonly total: number }
  /** What a job says of itself. */
  | { readonly type: 'report'; readonly id: number; readonly report: JobReport }
  /** A job asks for a finished unit, or has finished one. */
  | {
      readonly type: 'unit';
      readonly id: number;
      readonly call: number;
      readonly key: string;
      readonly set: { readonly value: Json } | null;
    }
  | { readonly type: 'done'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: ErrorData }
  | { readonly type: 'closed' };
