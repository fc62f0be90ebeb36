import { resolve } from 'node:path';
import { knownModels, knownShape } from '../../src/model/known.ts';
import { openModel } from '../../src/model/model.ts';
import { openFolder } from '../../src/store/folder.ts';
import { TillerError } from '../../src/errors/error.ts';
import type { Command } from '../command.ts';
import { cachedFolder, cachedModels, deleteCached, fetchModel, isCached } from '../model-cache.ts';
import { listPacked, removePacked } from '../packed-files.ts';
import { embeddedFolder, namedRepository, repositoryOf } from '../open-model.ts';
import { usage, type Options } from '../options.ts';
import type { Output } from '../output.ts';

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

function state(model: (typeof knownModels)[number]): string {
  if (model.embedded) return embeddedFolder() ? 'ready' : 'not built yet: npm run model';
  try {
    return isCached(repositoryOf(model)) ? 'downloaded' : 'not downloaded';
  } catch (error) {
    return error instanceof TillerError ? String(error.details.problem) : 'not readable';
  }
}

async function list(output: Output): Promise<void> {
  const known = knownModels.map((model) => {
    const { parameters, downloadBytes } = knownShape(model);
    return {
      name: model.id,
      title: model.title,
      licence: model.licence,
      parameters,
      downloadBytes,
      quantization: model.quantization,
      state: state(model),
    };
  });
  const downloaded = cachedModels();
  const packed = await listPacked();
  output.result({ known, downloaded, packed });
  for (const { name, downloadBytes, licence, state } of known)
    output.text(`${name.padEnd(18)}${megabytes(downloadBytes).padStart(9)}  ${licence.padEnd(28)}${state}\n`);
  for (const { repository, bytes, complete } of downloaded)
    output.text(`${repository}  ${megabytes(bytes)} on disk${complete ? '' : ', incomplete'}\n`);
  for (const { path, source, quantization, bytes } of packed)
    output.text(`packed ${quantization} weights of ${source}  ${megabytes(bytes)} in ${path}\n`);
}

/** Removes packed weights: all, or those of a folder, or one file. */
async function unpack(name: string, output: Output): Promise<void> {
  const packed = await listPacked();
  const chosen = name === 'all' ? packed : packed.filter(({ path, source }) => resolve(name) === path || resolve(name) === source);
  if (chosen.length === 0 && name !== 'all')
    throw new TillerError('model/not-found', { place: name, problem: 'no packed weights are known of it' });
  for (const { path } of chosen) await removePacked(path);
  output.result({ removed: chosen });
  output.text(`${chosen.length} ${chosen.length === 1 ? 'file' : 'files'} of packed weights removed\n`);
}

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const [action = 'list', name] = options.words;
  if (action === 'list' && name === undefined) return list(output);
  if (!['fetch', 'verify', 'delete', 'unpack'].includes(action))
    throw usage(`there is no "models ${action}"; there are list, fetch, verify, delete and unpack`);
  if (name === undefined) throw usage(`models ${action} needs a name`);
  if (action === 'unpack') return unpack(name, output);
  const repository = namedRepository(name);
  if (action === 'fetch') await fetchModel(repository, output, signal);
  else if (!isCached(repository)) throw new TillerError('model/not-found', { place: name, problem: 'it is not downloaded' });
  if (action === 'delete') {
    await deleteCached(repository);
    output.result({ deleted: repository });
    output.text(`${repository} deleted\n`);
    return;
  }
  // Opening checks the config, every tensor's place and shape, and the tokenizer.
  const { spec, weightBytes } = await openModel(openFolder(cachedFolder(repository)), signal);
  output.result({ repository, folder: cachedFolder(repository), family: spec.family, weightBytes });
  output.text(`${repository} (${spec.family}, ${megabytes(weightBytes)}) is complete in ${cachedFolder(repository)}\n`);
}

export const models: Command = {
  verb: 'models',
  summary: 'lists, fetches, verifies and deletes models, and removes packed weights',
  usage:
    'models [list], models fetch|verify|delete NAME, models unpack all|FOLDER (packed weights) (HF_ENDPOINT: another hub; HF_TOKEN: token for gated models)',
  options: [],
  words: 2,
  run,
};
