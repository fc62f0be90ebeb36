import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, isAbsolute, join, relative, sep } from 'node:path';
import { TillerError } from '../../src/errors/error.ts';
import { openModel, readTokenizerParts } from '../../src/model/model.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { formatOfName } from '../../src/model/weight-format.ts';
import type { Quantization, TensorInfo, WeightSource } from '../../src/model/weights.ts';
import { openFolder } from '../../src/store/folder.ts';
import { asTillerError } from '../output.ts';

/** A model that a runner serves: everything about it but its weights. */
export interface ServedFiles {
  /** What clients call it: the name of its folder or file. */
  readonly name: string;
  readonly folder: string;
  /** Weight file in the folder; null where there is but one kind. */
  readonly weights: string | null;
  readonly spec: ModelSpec;
  readonly identity: string;
  /** How the files keep the weights. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly weightBytes: number;
  readonly stored: readonly string[];
  readonly suggested: Quantization;
  readonly notes: readonly string[];
  readonly tokenizer: boolean;
  readonly chat: boolean;
}

/** What was found in a configured folder and is not served, with the reason. */
export interface SkippedModel {
  readonly name: string;
  readonly reason: string;
}

const inside = (root: string, path: string): boolean => {
  const way = relative(root, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
};

/** Links may point about within a configured folder, never out of it. @throws runner/models */
async function checkLinks(root: string, path: string): Promise<void> {
  const real = await realpath(path);
  if (!inside(root, real))
    throw new TillerError('runner/models', { place: basename(path), problem: 'it is a link to somewhere outside of the folder' });
  const info = await stat(real);
  if (!info.isDirectory()) return;
  for (const entry of await readdir(real)) await checkLinks(root, join(real, entry));
}

async function openServed(name: string, folder: string, weights: string | null, signal: AbortSignal): Promise<ServedFiles> {
  const { spec, source, tokenizer, weightBytes, stored, suggested, notes } = await openModel(
    openFolder(folder),
    signal,
    weights ?? undefined,
  );
  return {
    name,
    folder,
    weights,
    spec,
    identity: source.identity,
    tensors: source.tensors,
    weightBytes,
    stored,
    suggested,
    notes,
    tokenizer: tokenizer !== null,
    chat: tokenizer?.hasChatTemplate ?? false,
  };
}

/** The pieces of a split GGUF after the first one are no models of their own. */
const laterPiece = (name: string): boolean => /-(?!0*1-of)\d+-of-\d+\.gguf$/.test(name);

interface Candidate {
  readonly name: string;
  readonly folder: string;
  readonly weights: string | null;
}

/** Candidates of one configured folder: the folder itself where it has a config.json, else folders and GGUF files in it. */
async function candidates(root: string): Promise<readonly Candidate[]> {
  const entries = (await readdir(root, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (entries.some(({ name }) => name === 'config.json')) return [{ name: basename(root), folder: root, weights: null }];
  return entries.flatMap(({ name }): Candidate[] => {
    if (name.startsWith('.')) return [];
    if (formatOfName(name) === 'gguf') return laterPiece(name) ? [] : [{ name, folder: root, weights: name }];
    return [{ name, folder: join(root, name), weights: null }];
  });
}

/**
 * The models of the folders that a runner was started with. A model that cannot be read is left out and named; the others are served.
 * @throws runner/models where a folder cannot be read, or none holds a model
 */
export async function findServedModels(
  folders: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly models: readonly ServedFiles[]; readonly skipped: readonly SkippedModel[] }> {
  const models = new Map<string, ServedFiles>();
  const skipped: SkippedModel[] = [];
  for (const given of folders) {
    let found;
    let root: string;
    try {
      root = await realpath(given);
      found = await candidates(root);
    } catch (cause) {
      throw new TillerError('runner/models', { place: given, problem: cause instanceof Error ? cause.message : String(cause) }, { cause });
    }
    for (const { name, folder, weights } of found) {
      try {
        const path = weights === null ? folder : join(folder, weights);
        if (weights === null && !(await stat(path)).isDirectory()) continue;
        await checkLinks(root, path);
        if (models.has(name)) throw new TillerError('runner/models', { place: given, problem: 'there is another model of that name' });
        models.set(name, await openServed(name, folder, weights, signal));
      } catch (error) {
        skipped.push({ name, reason: asTillerError(error).message });
      }
    }
  }
  if (models.size === 0) {
    const problem = skipped.length > 0 ? skipped.map(({ name, reason }) => `${name}: ${reason}`).join('; ') : 'there is none';
    throw new TillerError('runner/models', { place: folders.join(', '), problem });
  }
  return { models: [...models.values()], skipped };
}

/** tokenizer.json and tokenizer_config.json of a served model. @throws model/tokenizer where it has none */
export async function servedTokenizer({
  name,
  folder,
  weights,
}: ServedFiles): Promise<{ readonly json: unknown; readonly config: unknown }> {
  const parts = await readTokenizerParts(openFolder(folder), weights ?? undefined);
  if (!parts) throw new TillerError('model/tokenizer', { problem: `${name} has none; give token ids` });
  return parts;
}

/** The weights of a served model, read as they are asked for. @throws model/*, request/aborted */
export async function servedWeights({ folder, weights }: ServedFiles, signal: AbortSignal): Promise<WeightSource> {
  return (await openModel(openFolder(folder), signal, weights ?? undefined)).source;
}
