import { TillerError } from '../errors/error.ts';
import type { Engine } from '../engine/engine.ts';
import type { UnitStore } from './unit-store.ts';

/** What every evaluation runs with. Nothing else outlives it. */
export interface EvalRun {
  readonly engine: Engine;
  /** Finished units are looked up here first and kept here as they are done. @default nothing is kept */
  readonly store?: UnitStore;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: EvalProgress) => void;
  /** Called when another tenth of the texts is scored under all conditions, the last time with all of them. */
  readonly onPart?: (part: EvalPart) => void;
}

/** What an evaluation has measured so far. Without intervals: those are of the whole. */
export interface EvalPart {
  readonly unit: 'questions' | 'documents';
  /** Units that are finished under all conditions. */
  readonly done: number;
  readonly total: number;
  /** Means over these units by name of the number: of the unedited model, then by condition. */
  readonly values: readonly Readonly<Record<string, number>>[];
}

export interface EvalProgress {
  /** Runs of a text or prompt under a condition, the unedited one included. */
  readonly done: number;
  readonly total: number;
  /** How many of `done` came out of the store. */
  readonly reused: number;
}

/** @throws request/aborted once the signal is set */
export function stopIfAsked(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new TillerError('request/aborted');
}

/** What of a model results depend on: part of the key of every unit. */
export function modelKey({ model }: Engine) {
  const { engine, identity, quantization, precision } = model;
  return { engine, identity, quantization, precision };
}
