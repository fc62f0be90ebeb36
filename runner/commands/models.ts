import { resolve } from 'node:path';
import { TillerError } from '../../src/errors/error.ts';
import { knownModels, knownShape } from '../../src/model/known.ts';
import { openModel } from '../../src/model/model.ts';
import { chooseWeights } from '../../src/model/weight-choice.ts';
import { openFolder } from '../../src/store/folder.ts';
import { hubNameText, type HubName } from '../../src/store/hub-name.ts';
import type { Command } from '../command.ts';
import { cachedModel, cachedModels, completeModel, deleteCached, fetchModel, listRepository, verifyCached, type CachedModel } from '../model-cache.ts'; // prettier-ignore
import { listPacked, removePacked } from '../packed-files.ts';
import { builtFolder, namedRepository } from '../open-model.ts';
import { usage, type Options } from '../options.ts';
import type { Output } from '../output.ts';

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

async function state(model: (typeof knownModels)[number]): Promise<string> {
  if (model.built && builtFolder(model.built)) return 'ready';
  for (const source of model.sources) if (await completeModel(source)) return 'downloaded';
  if (model.sources.length === 0 && model.built) return `not built yet: npm run model -- ${model.built}`;
  return model.sources.every(({ gated }) => gated) && !process.env.HF_TOKEN ? 'needs an access token (HF_TOKEN)' : 'not downloaded';
}

/** Known models and what was downloaded. */
async function list(output: Output): Promise<void> {
  const known: { name: string; title: string; licence: string; downloadBytes: number; state: string }[] = [];
  for (const model of knownModels) {
    const { parameters, downloadBytes } = knownShape(model);
    const { id: name, title, licence, quantization } = model;
    const row = { name, title, licence, parameters, downloadBytes, quantization, state: await state(model) };
    known.push(row);
  }
  const downloaded = (await cachedModels()).map(describe);
  const packed = await listPacked();
  output.result({ known, downloaded, packed });
  for (const { name, downloadBytes, licence, state } of known)
    output.text(`${name.padEnd(18)}${megabytes(downloadBytes).padStart(9)}  ${licence.padEnd(28)}${state}\n`);
  for (const { repository, bytes, complete, weights, commit } of downloaded) {
    const what = [weights, commit && `commit ${commit.slice(0, 10)}`].filter(Boolean).join(', ');
    output.text(`${repository}  ${megabytes(bytes)} on disk${what === '' ? '' : `, ${what}`}${complete ? '' : ', incomplete'}\n`);
  }
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

const describe = ({ name, folder, bytes, complete, manifest }: CachedModel) => ({
  repository: name,
  folder,
  bytes,
  complete,
  weights: manifest.weights,
  commit: manifest.origin?.commit ?? null,
  licence: manifest.origin?.licence ?? null,
});

/** Ways in which a repository of the hub has its weights, the usual one marked. */
async function listHubModel(name: HubName, output: Output, signal: AbortSignal): Promise<void> {
  const { listing, variants } = await listRepository(name, signal);
  const { variant: taken, reason } = chooseWeights(variants, name.repository, name.file);
  const { repository, commit, gated, private: hidden, licence } = listing;
  output.result({
    repository,
    commit,
    gated,
    private: hidden,
    licence,
    taken: taken.path,
    reason,
    weights: variants,
    files: listing.files,
  });
  output.text(
    `${repository} at ${commit.slice(0, 10)}, licence ${licence ?? 'not stated'}${gated ? ', gated' : ''}${hidden ? ', private' : ''}\n`,
  );
  for (const { path, name: kind, bytes, files } of variants)
    output.text(
      `${path === taken.path ? '*' : ' '} ${path}  ${kind}, ${megabytes(bytes)}${files.length > 1 ? ` in ${files.length} files` : ''}\n`,
    );
}

async function needCached(name: HubName): Promise<CachedModel> {
  const cached = await cachedModel(name);
  if (!cached) throw new TillerError('model/not-found', { place: hubNameText(name), problem: 'it is not downloaded' });
  return cached;
}

const actions: Readonly<Record<string, (name: HubName, output: Output, signal: AbortSignal) => Promise<void>>> = {
  list: listHubModel,
  async fetch(name, output, signal) {
    await opened(await fetchModel(name, output, signal), output, signal);
  },
  async verify(name, output, signal) {
    const cached = await needCached(name);
    await verifyCached(cached, output, signal);
    await opened(cached, output, signal);
  },
  async remove(name, output) {
    const cached = await needCached(name);
    await deleteCached(cached);
    output.result({ removed: cached.name, folder: cached.folder });
    output.text(`${cached.name} removed\n`);
  },
};

/** Opening checks the config, every tensor's place and shape, and the tokenizer. */
async function opened(cached: CachedModel, output: Output, signal: AbortSignal): Promise<void> {
  const { folder, name, manifest } = cached;
  const { spec, weightBytes, stored, notes } = await openModel(openFolder(folder), signal, manifest.weights ?? undefined);
  for (const note of notes) output.note(note);
  output.result({ ...describe(cached), family: spec.family, weightBytes, stored, notes });
  output.text(`${name} (${spec.family}, ${megabytes(weightBytes)}, ${stored[0] ?? 'no matrices'}) is complete in ${folder}\n`);
}

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const [word = 'list', name] = options.words;
  const action = word === 'delete' ? 'remove' : word;
  if (!Object.hasOwn(actions, action) && action !== 'unpack')
    throw usage(`there is no "models ${word}"; there are list, fetch, verify, remove and unpack`);
  const [file, revision] = [options.text('file'), options.text('revision')];
  if (name === undefined) {
    if (action !== 'list') throw usage(`models ${word} needs a name`);
    if (file !== null || revision !== null) throw usage('models list takes --file and --revision only with a repository');
    return list(output);
  }
  if (action === 'unpack') return unpack(name, output);
  const named = await namedRepository(name);
  await actions[action]({ ...named, file: file ?? named.file, revision: revision ?? named.revision }, output, signal);
}

export const models: Command = {
  verb: 'models',
  summary: 'lists, fetches, verifies and removes models, and removes packed weights',
  usage:
    'models [list [NAME]], models fetch|verify|remove NAME [--file F], models unpack all|FOLDER (packed weights) (HF_ENDPOINT: another hub; HF_TOKEN: token for gated models, sent to that hub only)',
  options: ['file', 'revision'],
  words: 2,
  run,
};
