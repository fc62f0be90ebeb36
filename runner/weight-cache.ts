import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { modelFileNames } from '../src/model/model-file-names.ts';
import { keptBytes, openPackedWeights, uncachedWeights, WORTH_BYTES, type CachedWeights } from '../src/model/packed-cache.ts';
import type { OriginFile, PackedOrigin } from '../src/model/packed-weights.ts';
import type { ModelSpec } from '../src/model/spec.ts';
import type { WeightSource } from '../src/model/weights.ts';
import { openFolder } from '../src/store/folder.ts';
import { packedOnDisk } from './packed-disk.ts';
import { packedPaths } from './packed-files.ts';

/** A model on disk whose weights may be kept packed. */
export interface CacheableModel {
  readonly spec: ModelSpec;
  readonly source: WeightSource;
  /** Its folder, and the weight file of it that was asked for by name. */
  readonly place: { readonly folder: string; readonly weights?: string };
}

/** `auto` keeps what is worth it, `always` everything, `off` neither reads nor writes. */
export type CacheMode = 'auto' | 'always' | 'off';

/**
 * Opens the packed weights of a model, or begins to write them.
 * @param describe what is to be said about these weights each time they are loaded; measured only when they are packed
 * @param anew none are read
 */
export async function openCachedWeights(
  model: CacheableModel,
  quantization: 'none' | 'q8' | 'q4',
  mode: CacheMode,
  describe: () => Promise<string>,
  signal: AbortSignal,
  anew = false,
): Promise<CachedWeights> {
  const { spec, source, place } = model;
  if (quantization === 'none') return uncachedWeights(source);
  if (mode === 'off') return uncachedWeights(source, await describe());
  const bytes = keptBytes(spec, source, quantization);
  if (bytes === 0 || (mode === 'auto' && bytes < WORTH_BYTES)) return uncachedWeights(source, await describe());
  const origin = await originOf(model, quantization, signal);
  const stores = packedPaths(place.folder, origin).map((path) => packedOnDisk(path, place.folder, quantization));
  return openPackedWeights({ spec, source, origin, stores, describe, crc32, anew });
}

async function originOf({ source, place }: CacheableModel, quantization: 'q8' | 'q4', signal: AbortSignal): Promise<PackedOrigin> {
  const names = (await modelFileNames(openFolder(place.folder), signal, place.weights)).filter((name) => !name.endsWith('.json'));
  const files: OriginFile[] = [];
  for (const name of names) {
    const { size, mtimeMs } = await stat(join(place.folder, name));
    files.push({ name, bytes: size, modified: Math.round(mtimeMs) });
  }
  return { identity: source.identity, quantization, files };
}
