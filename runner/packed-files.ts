import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { isRecord, readJson } from '../src/formats/json.ts';
import type { PackedOrigin } from '../src/model/packed-weights.ts';
import { cacheFolder } from './cache-folder.ts';

/**
 * Where packed weights lie: in `.tiller` beside the source, or, where that folder cannot be written, in the cache folder. The cache folder
 * also keeps a pointer to each, a small file that names its path, so that they can be listed and removed.
 */

const BESIDE = '.tiller';
const pointerFolder = (): string => join(cacheFolder(), 'packed');
const short = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** Places for the packed weights of a source, the preferred first. */
export function packedPaths(folder: string, { identity, quantization, files }: PackedOrigin): string[] {
  const name = `weights-${quantization}-${short(`${identity} ${files.map((file) => file.name).join(' ')}`)}.safetensors`;
  return [join(resolve(folder), BESIDE, name), join(pointerFolder(), 'files', `${short(resolve(folder))}-${name}`)];
}

export interface PackedFile {
  readonly path: string;
  /** The folder of the model. */
  readonly source: string;
  readonly quantization: string;
  readonly bytes: number;
}

const pointerOf = (path: string): string => join(pointerFolder(), `${short(path)}.json`);

/** Writes the pointer to a packed file. */
export async function rememberPacked(path: string, folder: string, quantization: string): Promise<void> {
  await mkdir(pointerFolder(), { recursive: true });
  const pointer = pointerOf(path);
  await writeFile(`${pointer}.${process.pid}`, JSON.stringify({ path, source: resolve(folder), quantization }));
  await rename(`${pointer}.${process.pid}`, pointer);
}

/** Packed files that are still there. Pointers to others are removed. */
export async function listPacked(): Promise<PackedFile[]> {
  const names = existsSync(pointerFolder()) ? await readdir(pointerFolder()) : [];
  const out: PackedFile[] = [];
  for (const name of names.filter((one) => one.endsWith('.json')).sort()) {
    const json = readJson(await readFile(join(pointerFolder(), name)));
    const value = 'value' in json && isRecord(json.value) ? json.value : {};
    const { path, source, quantization } = value;
    if (typeof path !== 'string' || typeof source !== 'string' || typeof quantization !== 'string') continue;
    const found = await stat(path).catch(() => null);
    if (found === null) await rm(join(pointerFolder(), name), { force: true });
    else out.push({ path, source, quantization, bytes: found.size });
  }
  return out;
}

/** Removes a packed file, its pointer, and the folder beside the source when it is empty then. */
export async function removePacked(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(pointerOf(path), { force: true });
  const folder = dirname(path);
  if (basename(folder) === BESIDE && (await readdir(folder).catch(() => ['unknown'])).length === 0) await rm(folder, { recursive: true });
}

/** What a file is called while it is being written: by this process, on this machine. */
export const partOf = (path: string): string => `${path}.part-${short(hostname())}-${process.pid}`;

/** Removes what writers that are gone have left. */
export async function removeLeftovers(path: string): Promise<void> {
  const start = `${basename(path)}.part-${short(hostname())}-`;
  for (const name of await readdir(dirname(path)).catch(() => [])) {
    if (!name.startsWith(start)) continue;
    const pid = Number(name.slice(start.length));
    if (pid !== process.pid && !isRunning(pid)) await rm(join(dirname(path), name), { force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
