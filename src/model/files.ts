import { TillerError } from '../errors/error.ts';
import { readJson } from '../formats/json.ts';

/** Files of one model, wherever they lie: a folder, a server, the hub, the page. Implementations are in src/store/. */
export interface FileAccess {
  /** Where the files are, as a person would say it: for messages. */
  readonly name: string;
  /** Names of all files, where the place can tell. */
  list?(): Promise<string[]>;
  /** Bytes of a file; null when there is none of that name. */
  size(path: string, signal?: AbortSignal): Promise<number | null>;
  /** What changes with the content of a file (a server's ETag), where the place has such a thing. */
  tag?(path: string, signal?: AbortSignal): Promise<string | null>;
  /** Exactly the bytes [start, end). Throws `model/file` when the file ends early, `network/failed` when it cannot be fetched. */
  read(path: string, start: number, end: number, signal?: AbortSignal): Promise<Uint8Array>;
}

const MEBIBYTE = 2 ** 20;

/** Largest JSON files that are read; tokenizers of 256k tokens have about 33 MB. */
export const jsonLimits = {
  'config.json': 4 * MEBIBYTE,
  'generation_config.json': 4 * MEBIBYTE,
  'tokenizer.json': 256 * MEBIBYTE,
  'tokenizer_config.json': 32 * MEBIBYTE,
  'model.safetensors.index.json': 64 * MEBIBYTE,
  'chat_template.jinja': 4 * MEBIBYTE,
  'chat_template.json': 4 * MEBIBYTE,
} as const;

export type SmallFile = keyof typeof jsonLimits;

/** Bytes of a small file, or null when it is not there. Its size is checked before it is read. */
export async function readSmall(files: FileAccess, path: SmallFile, signal?: AbortSignal): Promise<Uint8Array | null> {
  const size = await files.size(path, signal);
  if (size === null) return null;
  const limit = jsonLimits[path];
  if (size > limit) throw new TillerError('model/file', { file: path, problem: `it has ${size} bytes, the limit is ${limit}` });
  return files.read(path, 0, size, signal);
}

/** The value of a JSON file, or undefined when it is not there. @throws model/file */
export async function readJsonFile(files: FileAccess, path: SmallFile, signal?: AbortSignal): Promise<unknown> {
  const bytes = await readSmall(files, path, signal);
  if (bytes === null) return undefined;
  const json = readJson(bytes);
  if ('problem' in json) throw new TillerError('model/file', { file: path, problem: json.problem });
  return json.value;
}
