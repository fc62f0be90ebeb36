import type { Engine, LoadProgress } from '../engine/engine.ts';
import type { LoadOptions } from '../engine/options.ts';
import type { ErrorData } from '../errors/error.ts';
import type { Role } from '../graph/document.ts';
import type { ModelSpec } from '../model/spec.ts';
import type { WeightSource } from '../model/weights.ts';
import type { DeviceReport, LoadRequest, StorageState } from './engine-protocol.ts';
import type { Input, ModelChoice } from './experiment.ts';

/** What the engine host needs of the place it runs in. The worker gives the browser's; scripts and tests give theirs. */

export interface TextCodec {
  /** Whether the model has a chat template. */
  readonly chat: boolean;
  /** Ids and roles of a prompt, beginning-of-text token included where the model wants one. */
  encode(input: Input): { ids: readonly number[]; roles: readonly (Role | null)[] };
  /** Text of ids, special tokens included. */
  decode(ids: readonly number[]): string;
  /** Ids of a bare word, as it stands after a space, without special tokens. */
  encodeWord(word: string): readonly number[];
}

export interface OpenModel {
  readonly label: string;
  readonly licence: string | null;
  readonly spec: ModelSpec;
  readonly weights: WeightSource;
  readonly text: TextCodec;
}

/** Why the engine is not the WebGPU one, where it is not. */
export interface MadeEngine {
  readonly engine: Engine;
  readonly fallback: ErrorData | null;
}

type Progress = (progress: LoadProgress) => void;

export interface HostEnvironment {
  /** @throws model/*, network/failed, request/aborted */
  open(request: LoadRequest, onProgress: Progress, signal: AbortSignal): Promise<OpenModel>;
  /** @throws device/*, request/engine, model/*, request/aborted */
  engine(kind: LoadRequest['engine'], model: OpenModel, options: LoadOptions): Promise<MadeEngine>;
  device(): Promise<DeviceReport>;
  storage: ModelStorage | null;
  now(): number;
}

/** Models in the browser's storage. */
export interface ModelStorage {
  list(): Promise<StorageState>;
  download(request: LoadRequest, onProgress: Progress, signal: AbortSignal): Promise<void>;
  keep(label: string, files: readonly File[], onProgress: Progress, signal: AbortSignal): Promise<ModelChoice>;
  verify(key: string, onProgress: Progress, signal: AbortSignal): Promise<void>;
  remove(key: string): Promise<void>;
}
