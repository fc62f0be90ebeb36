import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TillerError } from '../src/errors/error.ts';
import { isRecord } from '../src/formats/json.ts';
import { readJsonFile, type FileAccess } from '../src/model/files.ts';
import { openHub } from '../src/store/hub.ts';
import { cacheFolder } from './cache-folder.ts';
import { unwritable } from './files.ts';
import type { Output } from './output.ts';

/** Models from the hub, kept in the user's cache folder: `models/OWNER--NAME/`, a Hugging Face folder like any other. */

const root = (): string => join(cacheFolder(), 'models');
export const cachedFolder = (repository: string): string => join(root(), repository.replace('/', '--'));

/** config.json is written last, so a folder that has it is complete. */
export const isCached = (repository: string): boolean => existsSync(join(cachedFolder(repository), 'config.json'));

/** Repositories that were downloaded, with their bytes on disk; partial ones are marked. */
export function cachedModels(): { readonly repository: string; readonly bytes: number; readonly complete: boolean }[] {
  if (!existsSync(root())) return [];
  return readdirSync(root())
    .filter((name) => name.includes('--'))
    .map((name) => {
      const repository = name.replace('--', '/');
      const folder = join(root(), name);
      const bytes = readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
      return { repository, bytes, complete: isCached(repository) };
    });
}

export const deleteCached = (repository: string): Promise<void> => rm(cachedFolder(repository), { recursive: true, force: true });

const optionalFiles = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'chat_template.json',
  'LICENSE',
];
const chunkBytes = 16 * 2 ** 20;

/** Files of weights: one, or the shards that the index names. @throws model/not-found, model/file */
async function weightNames(files: FileAccess, signal: AbortSignal): Promise<string[]> {
  if ((await files.size('model.safetensors', signal)) !== null) return ['model.safetensors'];
  const index = await readJsonFile(files, 'model.safetensors.index.json', signal);
  if (index === undefined) throw new TillerError('model/not-found', { place: files.name, problem: 'it has no safetensors files' });
  const map = isRecord(index) && isRecord(index.weight_map) ? Object.values(index.weight_map) : [];
  const shards = [...new Set(map)].filter((name): name is string => typeof name === 'string' && /^[\w.-]+\.safetensors$/.test(name));
  if (shards.length === 0)
    throw new TillerError('model/file', { file: 'model.safetensors.index.json', problem: 'it names no safetensors files' });
  return ['model.safetensors.index.json', ...shards];
}

/**
 * Downloads a repository into the cache. What an interrupted download left is gone on from.
 * @throws model/not-found, network/failed, file/unwritable, request/aborted
 */
export async function fetchModel(repository: string, output: Output, signal: AbortSignal): Promise<string> {
  const token = process.env.HF_TOKEN;
  const files = openHub(repository, {
    fetch: globalThis.fetch,
    ...(process.env.HF_ENDPOINT ? { hub: process.env.HF_ENDPOINT } : {}),
    ...(token ? { headers: { authorization: `Bearer ${token}` } } : {}),
  });
  const config = await files.size('config.json', signal);
  if (config === null) throw new TillerError('model/not-found', { place: repository, problem: 'the hub has no config.json there' });
  const wanted: { name: string; size: number }[] = [];
  for (const name of [...(await weightNames(files, signal)), ...optionalFiles]) {
    const size = await files.size(name, signal);
    if (size !== null) wanted.push({ name, size });
    else if (name.endsWith('.safetensors')) throw new TillerError('model/not-found', { place: repository, problem: `${name} is missing` });
  }
  wanted.push({ name: 'config.json', size: config });
  const total = wanted.reduce((sum, { size }) => sum + size, 0);
  const folder = cachedFolder(repository);
  let done = 0;
  const onBytes = (bytes: number): void => output.progress(`downloading ${repository}`, (done += bytes), total);
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    throw unwritable(folder, cause);
  }
  for (const { name, size } of wanted) await fetchFile(files, name, size, join(folder, name), onBytes, signal);
  return folder;
}

async function fetchFile(
  files: FileAccess,
  name: string,
  size: number,
  path: string,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  if (existsSync(path) && statSync(path).size === size) return onBytes(size);
  const part = `${path}.part`;
  if (!existsSync(part) || statSync(part).size > size)
    await writeFile(part, '').catch((cause: unknown) => Promise.reject(unwritable(part, cause)));
  let at = statSync(part).size;
  onBytes(at);
  const file = await open(part, 'a').catch((cause: unknown) => Promise.reject(unwritable(part, cause)));
  try {
    while (at < size) {
      const bytes = await files.read(name, at, Math.min(size, at + chunkBytes), signal);
      await file.appendFile(bytes).catch((cause: unknown) => Promise.reject(unwritable(part, cause)));
      at += bytes.length;
      onBytes(bytes.length);
    }
  } finally {
    await file.close();
  }
  await rename(part, path);
}
