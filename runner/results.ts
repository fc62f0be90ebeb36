import { join } from 'node:path';
import type { ResultStore } from '../src/captures/result-store.ts';
import type { Engine } from '../src/engine/engine.ts';
import { modelKey } from '../src/evals/run.ts';
import { unitKey, type UnitStore } from '../src/evals/unit-store.ts';
import { storedUnits } from '../src/fit/stored-units.ts';
import { resultsFolder } from '../src/store/results-folder.ts';
import { cacheFolder } from './cache-folder.ts';
import type { Options } from './options.ts';

/** Where `--results` or the cache keeps captures and finished parts. */
export const resultsOption = (options: Options): ResultStore => resultsFolder(options.text('results') ?? join(cacheFolder(), 'results'));

/**
 * Does work whose finished units are kept, whether it ends well or is stopped.
 * @param data hash of what it is about
 */
export async function withUnits<T>(options: Options, engine: Engine, data: string, work: (store: UnitStore) => Promise<T>): Promise<T> {
  const units = storedUnits(resultsOption(options), unitKey({ model: modelKey(engine), examples: data }).slice(0, 32));
  try {
    return await work(units);
  } finally {
    await units.flush();
  }
}
