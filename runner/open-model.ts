import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TillerError } from '../src/errors/error.ts';
import { knownModel, type KnownModel } from '../src/model/known.ts';
import { openModel, type ModelFiles } from '../src/model/model.ts';
import type { Quantization } from '../src/model/weights.ts';
import { openFolder } from '../src/store/folder.ts';
import { isRepository } from '../src/store/hub.ts';
import { cachedFolder, fetchModel, isCached } from './model-cache.ts';
import type { Output } from './output.ts';

const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();
const missing = (place: string, problem: string): TillerError => new TillerError('model/not-found', { place, problem });

/** Where the embedded model lies, or null when it is not built yet; `npm start` and `npm test` build it. */
export function embeddedFolder(): string | null {
  const folder = fileURLToPath(new URL('../models/stories15M', import.meta.url));
  return isFolder(folder) ? folder : null;
}

/** The repository a known model is taken from: the original where it is open or a token is given, else a copy. @throws model/not-found */
export function repositoryOf(model: KnownModel): string {
  const usable = model.sources.filter((source) => source.unsupported === null);
  const source = usable.find(({ gated, repository }) => !gated || process.env.HF_TOKEN || isCached(repository));
  if (source) return source.repository;
  throw missing(model.id, model.sources.at(0)?.unsupported ?? 'it has no source that can be read');
}

/** The repository of a name as given to `tiller models`. @throws model/not-found */
export function namedRepository(name: string): string {
  const known = knownModel(name);
  if (known && known.id === name && !known.embedded) return repositoryOf(known);
  if (isRepository(name)) return name;
  throw missing(name, known ? 'it comes with the project and is not downloaded' : 'it is neither a known name nor owner/name on the hub');
}

/** The folder of `--model M`: a folder on disk before a known name before a repository, which is downloaded once. */
async function modelFolder(model: string, output: Output, signal: AbortSignal): Promise<string> {
  if (isFolder(model)) return model;
  if (existsSync(model)) throw missing(model, /\.gguf$/i.test(model) ? 'GGUF files are not read yet' : 'it is a file, not a folder');
  if (knownModel(model)?.embedded) {
    const folder = embeddedFolder();
    if (folder === null) throw missing(model, 'the embedded model is not built yet; `npm run model` does it');
    return folder;
  }
  if (!knownModel(model) && !isRepository(model)) throw missing(model, 'there is no such folder and no known model of that name');
  const repository = namedRepository(model);
  return isCached(repository) ? cachedFolder(repository) : fetchModel(repository, output, signal);
}

export interface OpenedModel extends ModelFiles {
  /** What a known model is loaded as unless a person asks for something else. */
  readonly quantization: Quantization;
}

/** Opens `--model M` and says what in it was not used. @throws model/*, network/failed, file/unwritable */
export async function openModelOption(model: string, output: Output, signal: AbortSignal): Promise<OpenedModel> {
  const files = await openModel(openFolder(await modelFolder(model, output, signal)), signal);
  for (const note of files.notes) output.note(note);
  return { ...files, quantization: isFolder(model) ? 'none' : (knownModel(model)?.quantization ?? 'none') };
}
