import { crc32 } from '../formats/crc32.ts';
import type { LoadOptions } from '../engine/options.ts';
import { driftNote, measureDrift } from '../model/drift.ts';
import type { ModelFiles } from '../model/model.ts';
import { keptBytes, loadWithPacked, openPackedWeights, uncachedWeights, WORTH_BYTES, type CachedWeights } from '../model/packed-cache.ts';
import type { Quantization } from '../model/weights.ts';
import type { LoadRequest } from './engine-protocol.ts';
import type { HostEnvironment, MadeEngine, OpenModel } from './model-access.ts';

/** Makes the engine of a model that runs here, with its packed weights where some are kept. @param say takes notes, a sentence each */
export function makeEngine(
  environment: Pick<HostEnvironment, 'engine'>,
  request: LoadRequest,
  model: OpenModel,
  options: LoadOptions,
  say: (note: string) => void,
): Promise<MadeEngine> {
  const { quantization = 'none', signal } = options;
  return loadWithPacked(
    (anew) => openWeights(request, model, quantization, anew, signal),
    (source) => environment.engine(request.engine, { ...model.files, source }, options),
    (text) => say(sentence(text)),
  );
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;

async function openWeights(
  { engine, keepFrom = WORTH_BYTES }: LoadRequest,
  { files, packed }: OpenModel,
  quantization: Quantization,
  anew: boolean,
  signal?: AbortSignal,
): Promise<CachedWeights> {
  const { spec, source } = files;
  const describe = (): Promise<string> => drifted(files, quantization, signal);
  // The reference engine reads the weights as they are stored.
  if (quantization === 'none' || !packed || engine === 'reference' || keptBytes(spec, source, quantization) < Math.max(1, keepFrom))
    return uncachedWeights(source, await describe());
  let stores: Awaited<ReturnType<typeof packed.store>>[];
  try {
    stores = [await packed.store(quantization)];
  } catch {
    return uncachedWeights(source, await describe());
  }
  const origin = { identity: source.identity, quantization, files: packed.files };
  return openPackedWeights({ spec, source, origin, stores, describe, crc32, anew });
}

/** How far weights that were already quantised move when they are kept in another way; empty where they were not. */
async function drifted({ spec, source, stored }: ModelFiles, kind: Quantization, signal?: AbortSignal): Promise<string> {
  if (kind === 'none' || stored[0] === 'safetensors') return '';
  return driftNote(await measureDrift(spec, source, kind, signal ? { signal } : {}), stored);
}
