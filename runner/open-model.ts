import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TillerError } from '../src/errors/error.ts';
import { knownModel, type KnownModel } from '../src/model/known.ts';
import { openModel, type ModelFiles } from '../src/model/model.ts';
import { formatOfName } from '../src/model/weight-format.ts';
import type { Quantization } from '../src/model/weights.ts';
import { openFolder } from '../src/store/folder.ts';
import { parseHubName, type HubName } from '../src/store/hub-name.ts';
import { completeModel, fetchModel } from './model-cache.ts';
import type { Output } from './output.ts';
import type { RunnerPlace } from '../src/engine/remote/connection.ts';

const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();
const missing = (place: string, problem: string): TillerError => new TillerError('model/not-found', { place, problem });

/** Where a model that the project's scripts build lies, or null when it is not built yet: `npm run model -- NAME` does it. */
export function builtFolder(name: string): string | null {
  const folder = fileURLToPath(new URL(`../models/${name}`, import.meta.url));
  return isFolder(folder) ? folder : null;
}

/**
 * The repository a known model is taken from: the first that is here already, else the original where it is open or a token is given,
 * else a copy. @throws model/not-found
 */
export async function repositoryOf(model: KnownModel): Promise<HubName> {
  const names = model.sources.map(({ repository, revision, file, gated }) => ({ name: { repository, revision, file }, gated }));
  for (const { name } of names) if (await completeModel(name)) return name;
  const source = names.find(({ gated }) => !gated || process.env.HF_TOKEN);
  if (source) return source.name;
  throw missing(
    model.id,
    model.built
      ? `it is not built yet; \`npm run model -- ${model.built}\` does it`
      : 'its files can only be read with an access token (HF_TOKEN)',
  );
}

/** The repository of a name as given to `tiller models`. @throws model/not-found */
export async function namedRepository(name: string): Promise<HubName> {
  const known = knownModel(name);
  if (known && known.id === name && known.sources.length > 0) return repositoryOf(known);
  const repository = parseHubName(name, process.env.HF_ENDPOINT);
  if (repository) return repository;
  const built = known?.built ?? null;
  throw missing(
    name,
    built
      ? `it is built by \`npm run model -- ${built}\` and not downloaded from a hub`
      : 'it is neither a known name nor owner/name on the hub',
  );
}

/** A folder, and the weight file of it that was asked for by name. */
export interface Place {
  readonly folder: string;
  readonly weights?: string | undefined;
}

/** A GGUF or ONNX file as `--model`. Exports keep config.json one folder up from `onnx/model.onnx`. */
function filePlace(path: string): Place {
  const folder = dirname(path);
  const name = basename(path);
  if (formatOfName(name) === 'onnx' && !existsSync(join(folder, 'config.json')) && existsSync(join(folder, '..', 'config.json'))) {
    return { folder: join(folder, '..'), weights: `${basename(resolve(folder))}/${name}` };
  }
  return { folder, weights: name };
}

/** The place of `--model M`: a folder or file on disk before a known name before a repository, which is downloaded once. */
async function modelPlace(model: string, output: Output, signal: AbortSignal): Promise<Place> {
  if (isFolder(model)) return { folder: model };
  if (existsSync(model)) {
    if (formatOfName(model) !== null) return filePlace(model);
    throw missing(model, 'it is a file, and its name ends in neither .gguf, .onnx nor .safetensors');
  }
  const known = knownModel(model);
  if (known?.built) {
    const folder = builtFolder(known.built);
    if (folder !== null) return { folder };
    if (known.sources.length === 0) throw missing(model, `it is not built yet; \`npm run model -- ${known.built}\` does it`);
  }
  if (!known && !parseHubName(model, process.env.HF_ENDPOINT))
    throw missing(model, 'there is no such folder and no known model of that name');
  const { folder, manifest } = await fetchModel(await namedRepository(model), output, signal);
  return { folder, weights: manifest.weights ?? undefined };
}

export interface OpenedModel extends ModelFiles {
  /** What a known model is loaded as unless a person asks for something else. */
  readonly quantization: Quantization;
  readonly place: Place;
}

/** A model of a runner: all of it but its weights. */
async function openOnRunner(model: string, runner: RunnerPlace, output: Output, signal: AbortSignal): Promise<OpenedModel> {
  const { Connection } = await import('../src/engine/remote/connection.ts');
  const { openRemoteModel } = await import('../src/engine/remote/remote-model.ts');
  const { nodeNetwork } = await import('./node-network.ts');
  const connection = new Connection(runner, nodeNetwork);
  await connection.capabilities(signal);
  const files = await openRemoteModel(connection, model, signal);
  for (const note of files.notes) output.note(note);
  // Its files lie elsewhere; nothing here opens them.
  return { ...files, place: { folder: '' } };
}

/**
 * Opens `--model M` and says what in it was not used.
 * @param runner where the model is, if not here
 * @throws model/*, network/failed, file/unwritable, runner/*
 */
export async function openModelOption(
  model: string,
  output: Output,
  signal: AbortSignal,
  runner: RunnerPlace | null = null,
): Promise<OpenedModel> {
  if (runner) return openOnRunner(model, runner, output, signal);
  const { folder, weights } = await modelPlace(model, output, signal);
  const files = await openModel(openFolder(folder), signal, weights);
  for (const note of files.notes) output.note(note);
  const known = existsSync(model) || files.stored[0] !== 'safetensors' ? null : knownModel(model);
  const quantization = known?.quantization ?? files.suggested;
  return { ...files, quantization, place: { folder, ...(weights === undefined ? {} : { weights }) } };
}
