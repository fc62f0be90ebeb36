import { knownModels, knownShape } from '../../src/model/known.ts';
import { openModel } from '../../src/model/model.ts';
import { openFolder } from '../../src/store/folder.ts';
import { TillerError } from '../../src/errors/error.ts';
import type { Command } from '../command.ts';
import { cachedFolder, cachedModels, deleteCached, fetchModel, isCached } from '../model-cache.ts';
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

function list(output: Output): void {
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
  output.result({ known, downloaded });
  for (const { name, downloadBytes, licence, state } of known)
    output.text(`${name.padEnd(18)}${megabytes(downloadBytes).padStart(9)}  ${licence.padEnd(28)}${state}\n`);
  for (const { repository, bytes, complete } of downloaded)
    output.text(`${repository}  ${megabytes(bytes)} on disk${complete ? '' : ', incomplete'}\n`);
}

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const [action = 'list', name] = options.words;
  if (action === 'list' && name === undefined) return list(output);
  if (!['fetch', 'verify', 'delete'].includes(action))
    throw usage(`there is no "models ${action}"; there are list, fetch, verify and delete`);
  if (name === undefined) throw usage(`models ${action} needs a name`);
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
  summary: 'lists, fetches, verifies and deletes models',
  usage: 'models [list], models fetch|verify|delete NAME (HF_ENDPOINT: another hub; HF_TOKEN: token for gated models)',
  options: [],
  words: 2,
  run,
};
