import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { TillerError } from '../../errors/error.ts';
import { parseGgufHeader, type GgufHeader, type GgufTensor, type GgufValue } from '../../formats/gguf.ts';
import type { FileAccess } from '../files.ts';

const FIRST_READ = 2 ** 20;
/** Vocabularies of 256k tokens with their merges have about 20 MB. */
const HEADER_LIMIT = 256 * 2 ** 20;
const MAX_PARTS = 512;
const SAMPLE_BYTES = 65536;

export interface StoredTensor extends GgufTensor {
  readonly file: string;
}

/** A model of one GGUF file, or of the parts that belong together. */
export interface GgufFiles {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly identity: string;
  /** Bytes of all files. */
  readonly bytes: number;
  /** Names of all files, the first part first. */
  readonly paths: readonly string[];
}

function refuse(file: string, problem: string): never {
  throw new TillerError('model/file', { file, problem });
}

/**
 * Headers of `path`, and of the other parts where it says it is one of several (`NAME-00001-of-00003.gguf`).
 * @throws model/not-found, model/file, network/failed
 */
export async function readGgufFiles(files: FileAccess, path: string, signal?: AbortSignal): Promise<GgufFiles> {
  const digest = sha256.create();
  const tensors = new Map<string, StoredTensor>();
  let metadata: ReadonlyMap<string, GgufValue> | null = null;
  let bytes = 0;
  let parts = [path];
  for (let index = 0; index < parts.length; index++) {
    const file = parts[index];
    const { header, size } = await readHeader(files, file, digest, signal);
    if (metadata === null) {
      metadata = header.metadata;
      parts = partsOf(path, metadata.get('split.count'));
      if (parts[0] !== path)
        throw new TillerError('model/not-found', {
          place: path,
          problem: `it is not the first of ${parts.length} parts; open ${parts[0]}`,
        });
    } else if (header.metadata.get('split.no') !== index) {
      refuse(
        file,
        `it says it is part ${String(header.metadata.get('split.no')).slice(0, 20)}, counted from 0, and is named part ${index}`,
      );
    }
    for (const [name, tensor] of header.tensors) {
      const twin = tensors.get(name);
      if (twin) refuse(file, `tensor "${name.slice(0, 200)}" is also in ${twin.file}`);
      tensors.set(name, { ...tensor, file });
    }
    bytes += size;
  }
  return { metadata: metadata ?? new Map(), tensors, identity: `sampled-sha256:${bytesToHex(digest.digest())}`, bytes, paths: parts };
}

function partsOf(path: string, count: GgufValue | undefined): string[] {
  if (count === undefined || count === 1 || count === 0) return [path];
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > MAX_PARTS)
    return refuse(path, `it says it is one of ${String(count).slice(0, 20)} parts`);
  const match = /^(.*)-\d{5}-of-(\d{5})\.gguf$/.exec(path);
  if (!match || Number(match[2]) !== count)
    return refuse(path, `it is one of ${count} parts, but is not named so (NAME-00001-of-${String(count).padStart(5, '0')}.gguf)`);
  return Array.from({ length: count }, (_, i) => `${match[1]}-${String(i + 1).padStart(5, '0')}-of-${match[2]}.gguf`);
}

async function readHeader(
  files: FileAccess,
  file: string,
  digest: { update(data: Uint8Array): unknown },
  signal?: AbortSignal,
): Promise<{ header: GgufHeader; size: number }> {
  const size = await files.size(file, signal);
  if (size === null) throw new TillerError('model/not-found', { place: files.name, problem: `${file} is not there` });
  for (let length = Math.min(size, FIRST_READ); ; length = Math.min(size, length * 4)) {
    const prefix = await files.read(file, 0, length, signal);
    const header = parseGgufHeader(prefix, size, file);
    if (header) {
      digest.update(new TextEncoder().encode(`${size}\n`));
      const starts = [...header.tensors.values()].map(({ start }) => start);
      const dataStart = starts.reduce((least, start) => Math.min(least, start), size);
      digest.update(await files.read(file, 0, Math.min(dataStart, length), signal));
      digest.update(await files.read(file, dataStart, Math.min(size, dataStart + SAMPLE_BYTES), signal));
      digest.update(await files.read(file, Math.max(dataStart, size - SAMPLE_BYTES), size, signal));
      return { header, size };
    }
    if (length >= size) refuse(file, 'its header does not end');
    if (length >= HEADER_LIMIT) refuse(file, `its header has more than ${HEADER_LIMIT} bytes`);
  }
}
