import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TillerError } from '../src/errors/error.ts';
import type { FileAccess } from '../src/model/files.ts';
import { openModel, type ModelFiles } from '../src/model/model.ts';
import { openFolder } from '../src/store/folder.ts';
import type { Output } from './output.ts';

/** The model that comes with the project; `npm run model` makes its folder, and `npm start` and `npm test` do so by themselves. */
export const embeddedModel = 'stories15M';
const embeddedFolder = fileURLToPath(new URL(`../models/${embeddedModel}`, import.meta.url));

const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();

/** Where the embedded model lies, or null when it is not built yet. */
export const embeddedModelFolder = (): string | null => (isFolder(embeddedFolder) ? embeddedFolder : null);

/** Files of `--model M`. A folder on disk wins over a known name. @throws model/not-found */
export function modelFiles(model: string): FileAccess {
  const missing = (problem: string): TillerError => new TillerError('model/not-found', { place: model, problem });
  if (isFolder(model)) return openFolder(model);
  if (model === embeddedModel) {
    if (isFolder(embeddedFolder)) return openFolder(embeddedFolder);
    throw missing('the embedded model is not built yet; `npm run model` does it');
  }
  if (existsSync(model)) throw missing(/\.gguf$/i.test(model) ? 'GGUF files are not read yet' : 'it is a file, not a folder');
  if (/^[\w.-]+\/[\w.-]+$/.test(model)) throw missing('there is no such folder, and the command line does not download from the hub yet');
  throw missing('there is no such folder and no known model of that name');
}

/** Opens `--model M` and says what in it was not used. @throws model/* */
export async function openModelOption(model: string, output: Output, signal: AbortSignal): Promise<ModelFiles> {
  const files = await openModel(modelFiles(model), signal);
  for (const note of files.notes) output.note(note);
  return files;
}
