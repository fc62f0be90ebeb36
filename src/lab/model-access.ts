import type { ResultStore } from '../captures/result-store.ts';
import type { Engine, LoadProgress } from '../engine/engine.ts';
import type { LoadOptions } from '../engine/options.ts';
import type { ModelFiles } from '../model/model.ts';
import type { PackedStore } from '../model/packed-store.ts';
import type { OriginFile } from '../model/packed-weights.ts';
import type { ChosenFile } from '../store/files.ts';
import type { EngineReason } from './engine-choice.ts';
import type { DeviceReport, LoadRequest, StorageState } from './engine-protocol.ts';
import type { ModelChoice } from './experiment.ts';

/** What the engine host needs of the place it runs in. The worker gives the browser's; scripts and tests give theirs. */

export interface MadeEngine {
  readonly engine: Engine;
  /** Why it is this one. */
  readonly reason: EngineReason;
}

type Progress = (progress: LoadProgress) => void;

/** A model that is open, with what the page shows of it. */
export interface OpenModel {
  readonly label: string;
  readonly licence: string | null;
  readonly files: ModelFiles;
  /** What was chosen on the way to its files, one sentence each. */
  readonly notes?: readonly string[];
  /** Where its packed weights may be kept. @default nowhere */
  readonly packed?: PackedPlaces | null;
  /** Where the model runs elsewhere, its engine and what else needs its weights; absent where they are read and run here. */
  readonly remote?: RemoteModel;
}

export interface PackedPlaces {
  /** The model's files, by their hashes. */
  readonly files: readonly OriginFile[];
  /** @throws what the file system throws */
  store(quantization: 'q8' | 'q4'): Promise<PackedStore>;
}

export interface RemoteModel {
  readonly address: string;
  /** @throws runner/*, model/*, device/*, request/aborted */
  engine(options: Pick<LoadOptions, 'onProgress' | 'signal'>): Promise<Engine>;
  /** Directions towards a word, as wordDirections gives them. @throws as `engine` */
  words(ids: readonly number[], signal: AbortSignal): Promise<Float32Array>;
}

export interface HostEnvironment {
  /** @throws model/*, network/failed, request/aborted */
  open(request: LoadRequest, onProgress: Progress, signal: AbortSignal): Promise<OpenModel>;
  /** @throws device/*, request/engine, model/*, request/aborted */
  engine(kind: LoadRequest['engine'], model: ModelFiles, options: LoadOptions): Promise<MadeEngine>;
  device(): Promise<DeviceReport>;
  storage: ModelStorage | null;
  /** Where fits keep what they have done; null where nothing can be kept. */
  results: ResultStore | null;
  now(): number;
}

/** Models in the browser's storage. */
export interface ModelStorage {
  list(): Promise<StorageState>;
  download(request: LoadRequest, onProgress: Progress, signal: AbortSignal): Promise<void>;
  keep(label: string, files: readonly ChosenFile[], onProgress: Progress, signal: AbortSignal): Promise<ModelChoice>;
  verify(key: string, onProgress: Progress, signal: AbortSignal): Promise<void>;
  remove(key: string): Promise<void>;
}
