import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { modelFileNames } from '../src/model/model-file-names.ts';
import { packedBytes, packedLayout, type PackedOrigin } from '../src/model/packed-weights.ts';
import type { ModelSpec } from '../src/model/spec.ts';
import type { WeightSource } from '../src/model/weights.ts';
import { openFolder } from '../src/store/folder.ts';
import { packedPaths, rememberPacked, removePacked } from './packed-files.ts';
import { PackedReader } from './packed-reader.ts';
import { PackedWriter } from './packed-writer.ts';

/** A model on disk whose weights may be kept packed. */
export interface CacheableModel {
  readonly spec: ModelSpec;
  readonly source: WeightSource;
  /** Its folder, and the weight file of it that was asked for by name. */
  readonly place: { readonly folder: string; readonly weights?: string };
}

/** `auto` keeps what is worth it, `always` everything, `off` neither reads nor writes. */
export type CacheMode = 'auto' | 'always' | 'off';

/** Packed weights below this load in a moment anyway. */
const WORTH_BYTES = 64 * 2 ** 20;

/** Weights on their way to an engine: from a packed file, or packed on the way and written to one. */
export interface CachedWeights {
  readonly source: WeightSource;
  /** What is to be said of the weights, such as how far packing moved them; null or empty where nothing is. */
  readonly note: string | null;
  /** The packed file that is read; null where there is none. */
  readonly reads: string | null;
  /** After the engine has loaded. A sentence about what was written, or why nothing was; null where there is nothing to say. */
  finish(): Promise<string | null>;
  /** After it has failed to: closes files and leaves nothing half written. */
  discard(): Promise<void>;
}

const plain = (source: WeightSource): CachedWeights => ({
  source,
  note: null,
  reads: null,
  finish: () => Promise.resolve(null),
  discard: () => Promise.resolve(),
});

/**
 * Opens the packed weights of a model, or begins to write them.
 * @param describe what is to be said about these weights each time they are loaded; measured only when they are packed
 */
export async function openCachedWeights(
  model: CacheableModel,
  quantization: 'none' | 'q8' | 'q4',
  mode: CacheMode,
  describe: () => Promise<string>,
  signal: AbortSignal,
): Promise<CachedWeights> {
  const { spec, source, place } = model;
  if (quantization === 'none') return plain(source);
  if (mode === 'off') return { ...plain(source), note: await describe() };
  const bytes = packedBytes(packedLayout(spec, source, quantization));
  if (bytes === 0 || (mode === 'auto' && bytes < WORTH_BYTES)) return { ...plain(source), note: await describe() };
  const origin = await originOf(model, quantization, signal);
  const paths = packedPaths(place.folder, origin);
  const stale: string[] = [];
  for (const path of paths) {
    const reader = await PackedReader.open(path, spec, source, origin);
    if (reader === null) continue;
    if ('stale' in reader) {
      stale.push(`${path} is packed anew: ${reader.stale}`);
      await removePacked(path).catch(() => undefined);
      continue;
    }
    const close = async (): Promise<null> => {
      await reader.close();
      return null;
    };
    return {
      source: reader.source(source),
      note: reader.note,
      reads: path,
      finish: close,
      discard: async () => void (await close()),
    };
  }
  const note = await describe();
  const problems: string[] = [];
  for (const path of paths) {
    const writer = await PackedWriter.begin(path, spec, source, origin, note);
    if ('problem' in writer) {
      problems.push(`${path}: ${writer.problem}`);
      continue;
    }
    return {
      source: writer.source(source),
      note,
      reads: null,
      async finish() {
        const problem = await writer.finish();
        if (problem !== null) return `the packed weights were not kept: ${problem}`;
        await rememberPacked(path, place.folder, quantization).catch(() => undefined);
        const kept = `packed weights (${(bytes / 1e9).toFixed(2)} GB) are kept in ${path}, so that the next start is faster; --no-weight-cache keeps none`;
        return [...stale, kept].join('; ');
      },
      discard: () => writer.discard(),
    };
  }
  return { ...plain(source), note, finish: () => Promise.resolve(`packed weights cannot be kept: ${problems.join('; ')}`) };
}

async function originOf({ source, place }: CacheableModel, quantization: 'q8' | 'q4', signal: AbortSignal): Promise<PackedOrigin> {
  const names = (await modelFileNames(openFolder(place.folder), signal, place.weights)).filter((name) => !name.endsWith('.json'));
  const files: { name: string; bytes: number; modified: number }[] = [];
  for (const name of names) {
    const { size, mtimeMs } = await stat(join(place.folder, name));
    files.push({ name, bytes: size, modified: Math.round(mtimeMs) });
  }
  return { identity: source.identity, quantization, files };
}
