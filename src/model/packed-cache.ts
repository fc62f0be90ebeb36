import { TillerError } from '../errors/error.ts';
import type { Crc32 } from '../formats/crc32.ts';
import { PackedReader } from './packed-reader.ts';
import type { PackedStore } from './packed-store.ts';
import { packedBytes, packedLayout, type PackedOrigin } from './packed-weights.ts';
import { PackedWriter } from './packed-writer.ts';
import type { ModelSpec } from './spec.ts';
import type { WeightSource } from './weights.ts';

/** Packed weights below this load in a moment anyway. */
export const WORTH_BYTES = 64 * 2 ** 20;

/** Weights on their way to an engine: from a packed file, or packed on the way and written to one. */
export interface CachedWeights {
  readonly source: WeightSource;
  /** What is to be said of the weights, such as how far packing moved them; null or empty where nothing is. */
  readonly note: string | null;
  /** Where the packed file lies that is read; null where there is none. */
  readonly reads: string | null;
  /** After the engine has loaded. A sentence about what was written, or why nothing was; null where there is nothing to say. */
  finish(): Promise<string | null>;
  /** After it has failed to: closes files and leaves nothing half written. */
  discard(): Promise<void>;
  /** Removes the packed file that is read, after it was discarded. */
  remove(): Promise<void>;
}

const nothing = (): Promise<void> => Promise.resolve();

/** Weights that are neither read packed nor kept. */
export const uncachedWeights = (source: WeightSource, note: string | null = null, said: string | null = null): CachedWeights => ({
  source,
  note,
  reads: null,
  finish: () => Promise.resolve(said),
  discard: nothing,
  remove: nothing,
});

interface PackedRequest {
  readonly spec: ModelSpec;
  readonly source: WeightSource;
  readonly origin: PackedOrigin;
  /** Where the file may lie, the preferred first. */
  readonly stores: readonly PackedStore[];
  /** What is to be said about these weights each time they are loaded; measured only when they are packed. */
  readonly describe: () => Promise<string>;
  readonly crc32: Crc32;
  /** Reads none, because the one that is there is damaged. */
  readonly anew: boolean;
}

/** Bytes that the packed weights of a model take. */
export const keptBytes = (spec: ModelSpec, source: WeightSource, quantization: 'q8' | 'q4'): number =>
  packedBytes(packedLayout(spec, source, quantization));

/** Opens the packed weights of a model, or begins to write them. Files that are of no use any more are removed, which is said. */
export async function openPackedWeights({ spec, source, origin, stores, describe, crc32, anew }: PackedRequest): Promise<CachedWeights> {
  const layout = packedLayout(spec, source, origin.quantization);
  const stale: string[] = [];
  for (const store of anew ? [] : stores) {
    const reader = await PackedReader.open(store, layout, origin, crc32);
    if (reader === null) continue;
    if ('stale' in reader) {
      stale.push(`the packed weights in ${store.name} were removed: ${reader.stale}`);
      await store.remove().catch(() => undefined);
      continue;
    }
    return {
      source: reader.source(source),
      note: reader.note,
      reads: store.name,
      async finish() {
        await reader.close();
        return null;
      },
      discard: () => reader.close(),
      remove: () => store.remove(),
    };
  }
  const note = await describe();
  const problems: string[] = [];
  for (const store of stores) {
    const writer = await PackedWriter.begin(store, layout, origin, note, crc32);
    if ('problem' in writer) {
      problems.push(`${store.name}: ${writer.problem}`);
      continue;
    }
    return {
      source: writer.source(source),
      note,
      reads: null,
      async finish() {
        if (!writer.used) {
          await writer.discard();
          return stale.length === 0 ? null : stale.join('; ');
        }
        const problem = await writer.finish();
        const kept = `packed weights (${(packedBytes(layout) / 1e9).toFixed(2)} GB) are kept in ${store.name}, so that the next load is faster${store.hint}`;
        return [...stale, problem === null ? kept : `the packed weights were not kept: ${problem}`].join('; ');
      },
      discard: () => writer.discard(),
      remove: nothing,
    };
  }
  return uncachedWeights(source, note, [...stale, `packed weights cannot be kept: ${problems.join('; ')}`].join('; '));
}

/**
 * Loads with packed weights where some are kept, and keeps those that were packed now. Damaged ones are removed and packed anew.
 * @param open opens them; told to read none after those that it opened have turned out to be damaged
 * @param say takes sentences for the person who loads, each once
 */
export async function loadWithPacked<T>(
  open: (anew: boolean) => Promise<CachedWeights>,
  load: (source: WeightSource) => Promise<T>,
  say: (text: string) => void,
): Promise<T> {
  const said = new Set<string | null>([null, '']);
  const tell = (text: string | null): void => {
    if (!said.has(text)) say(text ?? '');
    said.add(text);
  };
  for (let again = false; ; again = true) {
    const weights = await open(again);
    tell(weights.note);
    if (weights.reads !== null) tell(`packed weights are read from ${weights.reads}`);
    try {
      const loaded = await load(weights.source);
      tell(await weights.finish());
      return loaded;
    } catch (error) {
      await weights.discard();
      if (again || weights.reads === null || !(error instanceof TillerError && error.code === 'model/packed-damaged')) throw error;
      tell(`${error.message} They are packed anew.`);
      await weights.remove().catch(() => undefined);
    }
  }
}
