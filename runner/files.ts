import { readFile } from 'node:fs/promises';
import { TillerError } from '../src/errors/error.ts';
import { readJson } from '../src/formats/json.ts';

const reason = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/^\w+: /, '').replace(/, open .*$/, '') : String(error);

/** A whole file. @throws file/unreadable */
export async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new TillerError('file/unreadable', { file, problem: reason(cause) }, { cause });
  }
}

/** A whole file, or null when there is none. @throws file/unreadable */
export async function readBytesIfThere(file: string): Promise<Uint8Array | null> {
  try {
    return await readFile(file);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    throw new TillerError('file/unreadable', { file, problem: reason(cause) }, { cause });
  }
}

/** The value of a JSON file. @throws file/unreadable */
export async function readJsonInput(file: string): Promise<unknown> {
  const json = readJson(await readBytes(file));
  if ('problem' in json) throw new TillerError('file/unreadable', { file, problem: json.problem });
  return json.value;
}

export const unwritable = (file: string, cause: unknown): TillerError =>
  new TillerError('file/unwritable', { file, problem: reason(cause) }, { cause });
