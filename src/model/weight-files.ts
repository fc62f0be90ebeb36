import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { TillerError } from '../errors/error.ts';
import { isRecord } from '../formats/json.ts';
import { headerLength, parseSafetensorsHeader, PREFIX_BYTES, type SafetensorsEntry } from '../formats/safetensors.ts';
import { readJsonFile, type FileAccess } from './files.ts';
import type { TensorDtype, TensorInfo, WeightSource } from './weights.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const MAX_SHARDS = 4096;
const SAMPLE_BYTES = 65536;

const readDtypes: readonly string[] = ['F32', 'F16', 'BF16'] satisfies TensorDtype[];

interface Place {
  readonly file: string;
  readonly entry: SafetensorsEntry;
}

export interface OpenedWeights {
  readonly source: WeightSource;
  /** Tensors of dtypes that no layer can use, by name: not in `source`. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** Bytes of all weight files. */
  readonly bytes: number;
  readonly files: readonly string[];
}

/**
 * Weights of a model folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names. Reads headers only;
 * tensor data is read later, by ranges. Names get the prefix `model.` whatever the checkpoint calls its text model.
 * @throws model/not-found, model/file, network/failed
 */
export async function openWeights(files: FileAccess, signal?: AbortSignal): Promise<OpenedWeights> {
  const indexed = await readIndex(files, signal);
  const shards = indexed ? [...new Set(indexed.values())] : [SINGLE];
  const places = new Map<string, Place>();
  const digest = sha256.create();
  let bytes = 0;
  for (const file of shards) {
    const size = await files.size(file, signal);
    if (size === null) throw await missingFile(files, file, indexed !== null);
    const entries = await readHeader(files, file, size, digest, signal);
    for (const [name, entry] of entries) {
      const twin = places.get(name);
      if (twin) throw new TillerError('model/file', { file, problem: `tensor "${name}" is also in ${twin.file}` });
      places.set(name, { file, entry });
    }
    bytes += size;
  }
  if (indexed) checkIndex(indexed, places);
  return { ...assemble(files, canonicalNames(places), `sampled-sha256:${bytesToHex(digest.digest())}`), bytes, files: shards };
}

/** The single safetensors file, or the index and the shards it names. @throws model/file, network/failed */
export async function safetensorsFileNames(files: FileAccess, signal?: AbortSignal): Promise<string[]> {
  const indexed = await readIndex(files, signal);
  return indexed ? [INDEX, ...new Set(indexed.values())] : [SINGLE];
}

/** Weights as pickled Python objects: PyTorch's own files, and Llama's as Meta publishes them. */
const pickled = /^(pytorch_model.*\.bin|consolidated.*\.pth?|.*\.(pth|pt|ckpt))$/;
const PICKLED_NAMES = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'consolidated.00.pth'];

async function missingFile(files: FileAccess, file: string, indexed: boolean): Promise<TillerError> {
  const found = (await files.list?.())?.find((name) => pickled.test(name)) ?? (await firstThere(files, PICKLED_NAMES));
  if (found !== undefined) return new TillerError('model/pickled-weights', { place: files.name, file: found });
  if (indexed) return new TillerError('model/file', { file, problem: `it is named in ${INDEX} but is not there` });
  return new TillerError('model/not-found', { place: files.name, problem: `neither ${SINGLE} nor ${INDEX} is there` });
}

async function firstThere(files: FileAccess, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) if ((await files.size(name)) !== null) return name;
  return undefined;
}

/** `weight_map` of the index, tensor -> shard; null when there is a single file. */
async function readIndex(files: FileAccess, signal?: AbortSignal): Promise<Map<string, string> | null> {
  if ((await files.size(SINGLE, signal)) !== null) return null;
  const index = await readJsonFile(files, INDEX, signal);
  if (index === undefined) return null;
  const wrong = (problem: string): never => {
    throw new TillerError('model/file', { file: INDEX, problem });
  };
  if (!isRecord(index) || !isRecord(index.weight_map)) return wrong('it has no weight_map');
  const map = new Map<string, string>();
  for (const [tensor, file] of Object.entries(index.weight_map)) {
    if (typeof file !== 'string' || !/^[\w.-]+\.safetensors$/.test(file) || file.startsWith('.'))
      return wrong(`tensor "${tensor.slice(0, 200)}" is mapped to something that is not a safetensors file of this folder`);
    map.set(tensor, file);
  }
  if (map.size === 0) return wrong('its weight_map is empty');
  if (new Set(map.values()).size > MAX_SHARDS) return wrong(`it names more than ${MAX_SHARDS} files`);
  return map;
}

function checkIndex(indexed: ReadonlyMap<string, string>, places: ReadonlyMap<string, Place>): void {
  for (const [tensor, file] of indexed) {
    if (places.get(tensor)?.file !== file)
      throw new TillerError('model/file', { file, problem: `tensor "${tensor}" is not in it, though ${INDEX} says so` });
  }
}

/** Reads a header and takes it, the file's size and samples of its data into the digest: two models that differ have other weights at both ends. */
async function readHeader(
  files: FileAccess,
  file: string,
  size: number,
  digest: { update(data: Uint8Array): unknown },
  signal?: AbortSignal,
): Promise<Map<string, SafetensorsEntry>> {
  const prefix = await files.read(file, 0, Math.min(PREFIX_BYTES, size), signal);
  const length = headerLength(prefix, size, file);
  const header = await files.read(file, PREFIX_BYTES, PREFIX_BYTES + length, signal);
  const entries = parseSafetensorsHeader(header, size, file);
  const dataStart = PREFIX_BYTES + length;
  digest.update(new TextEncoder().encode(`${size}\n`));
  digest.update(header);
  digest.update(await files.read(file, dataStart, Math.min(size, dataStart + SAMPLE_BYTES), signal));
  digest.update(await files.read(file, Math.max(dataStart, size - SAMPLE_BYTES), size, signal));
  return entries;
}

/** What checkpoints put before the names of the text model's tensors: multimodal wrappers, or nothing at all in bare base models. */
const wrappers: readonly { readonly model: string; readonly head: string }[] = [
  { model: 'model.', head: 'lm_head.' },
  { model: 'language_model.model.', head: 'language_model.lm_head.' },
  { model: 'model.language_model.', head: 'lm_head.' },
  { model: '', head: 'lm_head.' },
];

/** Places by the names that `tensorLayout` uses. Names that belong to no text model stay as they are and count as extra. */
function canonicalNames(places: ReadonlyMap<string, Place>): Map<string, Place> {
  const wrapper = wrappers.find(({ model }) => places.has(`${model}embed_tokens.weight`));
  if (!wrapper || wrapper.model === 'model.') return new Map(places);
  const out = new Map<string, Place>();
  for (const [name, place] of places) {
    if (name.startsWith(wrapper.head)) out.set(`lm_head.${name.slice(wrapper.head.length)}`, place);
    else if (name.startsWith(wrapper.model)) out.set(`model.${name.slice(wrapper.model.length)}`, place);
    else out.set(name, place);
  }
  return out;
}

function assemble(files: FileAccess, places: ReadonlyMap<string, Place>, identity: string): Pick<OpenedWeights, 'source' | 'unreadable'> {
  const tensors = new Map<string, TensorInfo>();
  const unreadable = new Map<string, string>();
  for (const [name, { entry }] of places) {
    if (readDtypes.includes(entry.dtype)) tensors.set(name, { name, dtype: entry.dtype as TensorDtype, shape: entry.shape });
    else unreadable.set(name, entry.dtype);
  }
  const source: WeightSource = {
    tensors,
    identity,
    async read(name, start, end, signal) {
      const place = places.get(name);
      if (!place) throw new TillerError('internal', { problem: `the tensor "${name}" was read but is not in the files` });
      const { file, entry } = place;
      if (!(start >= 0 && start <= end && entry.start + end <= entry.end)) {
        throw new TillerError('internal', {
          problem: `bytes ${start} to ${end} of "${name}" were read, it has ${entry.end - entry.start}`,
        });
      }
      return files.read(file, entry.start + start, entry.start + end, signal);
    },
  };
  return { source, unreadable };
}
