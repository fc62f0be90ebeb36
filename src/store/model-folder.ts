import { TillerError } from '../errors/error.ts';
import type { FileAccess } from '../model/files.ts';
import type { FileHash, MakeHasher } from './file-hash.ts';
import { parseManifest, type HubOrigin, type Manifest, type ManifestFile } from './manifest.ts';

/** A file that is being written. */
export interface WritableFile {
  readonly size: number;
  /** All of the bytes, or an error. @throws store/no-room, file/unwritable, store/unavailable */
  write(bytes: Uint8Array, at: number): Promise<void>;
  truncate(size: number): Promise<void>;
}

/** A folder that keeps the files of one model: in the browser's private file system or on disk. */
export interface ModelFolder {
  /** Bytes that are there of a file, complete or not; 0 when there is none. */
  size(name: string): Promise<number>;
  read(name: string, start: number, end: number): Promise<Uint8Array>;
  write<T>(name: string, work: (file: WritableFile) => Promise<T>): Promise<T>;
  /** Called once a file is complete and right. */
  finish(name: string): Promise<void>;
  /** Text of the manifest; null when there is none. */
  readManifest(): Promise<string | null>;
  writeManifest(text: string): Promise<void>;
  /** Bytes that still fit; null where it cannot be told. */
  room(): Promise<number | null>;
  readonly hasher: MakeHasher;
}

export interface PlannedFile {
  readonly name: string;
  readonly bytes: number;
  readonly expected: FileHash | null;
  readonly tag: string | null;
}

/** What is to be stored, decided before the first byte is. */
export interface DownloadPlan {
  readonly label: string;
  readonly place: unknown;
  readonly origin: HubOrigin | null;
  readonly weights: string | null;
  readonly files: readonly PlannedFile[];
}

export interface StoreProgress {
  readonly stage: 'download' | 'verify';
  readonly done: number;
  readonly total: number;
}

type Report = (progress: StoreProgress) => void;

const CHUNK = 8 * 2 ** 20;

const stopIf = (signal: AbortSignal): void => {
  if (signal.aborted) throw new TillerError('request/aborted');
};

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;

/** The same content, as far as can be told: by hash, else by the server's tag, else by the size alone. */
function sameContent(before: Pick<ManifestFile, 'bytes' | 'expected' | 'tag'>, now: PlannedFile): boolean {
  if (before.bytes !== now.bytes) return false;
  if (before.expected !== null && now.expected !== null) return before.expected.hex === now.expected.hex;
  return before.tag === null || now.tag === null || before.tag === now.tag;
}

export const isComplete = (manifest: Manifest, have: readonly number[]): boolean =>
  manifest.files.every((file, i) => file.sha256 !== null && have[i] === file.bytes);

export async function readManifest(folder: ModelFolder): Promise<Manifest | null> {
  const text = await folder.readManifest();
  return text === null ? null : parseManifest(text);
}

/**
 * Copies files into a folder, from where an earlier attempt stopped. Room is asked for before anything is written. Every file's hash is
 * computed from what is stored, compared with what the place says, and kept for `verifyFolder`.
 * @throws store/no-room, store/unavailable, file/unwritable, model/hash, request/aborted, and what `source` throws
 */
export async function fillFolder(
  folder: ModelFolder,
  plan: DownloadPlan,
  source: FileAccess,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const earlier = await readManifest(folder);
  const total = plan.files.reduce((sum, file) => sum + file.bytes, 0);
  const have = await Promise.all(plan.files.map(({ name }) => folder.size(name)));
  const kept = plan.files.map((file) => {
    const before = earlier?.files.find(({ name }) => name === file.name);
    return before === undefined || sameContent(before, file) ? before : null;
  });
  const there = plan.files.reduce((sum, file, i) => sum + (kept[i] === null ? 0 : Math.min(have[i], file.bytes)), 0);
  const room = await folder.room();
  if (room !== null && total - there > room) {
    const problem = `${megabytes(total - there)} are needed and ${megabytes(Math.max(0, room))} are free`;
    throw new TillerError('store/no-room', { name: plan.label, problem });
  }
  const files: ManifestFile[] = plan.files.map((file, i) => ({
    ...file,
    sha256: have[i] === file.bytes ? (kept[i]?.sha256 ?? null) : null,
  }));
  const save = (): Promise<void> =>
    folder.writeManifest(
      JSON.stringify({ tiller: 1, label: plan.label, place: plan.place, origin: plan.origin, weights: plan.weights, files }, null, 1),
    );
  await save();

  const resumed: boolean[] = [];
  let done = 0;
  for (const [i, file] of files.entries()) {
    const from = kept[i] === null ? 0 : have[i] > file.bytes ? 0 : have[i];
    resumed.push(from > 0);
    if (from < file.bytes || file.bytes === 0) {
      await append(folder, file, from, source, (bytes) => report({ stage: 'download', done: done + bytes, total }), signal);
    }
    done += file.bytes;
    report({ stage: 'download', done, total });
  }
  let checked = 0;
  for (const [i, file] of files.entries()) {
    const onBytes = (bytes: number): void => report({ stage: 'verify', done: checked + bytes, total });
    if (file.sha256 === null) {
      let hashes = await hashFile(folder, file, onBytes, signal);
      if (hashes.problem !== null && resumed[i]) {
        // What an earlier attempt left may be damaged: once more from the start.
        await append(folder, file, 0, source, onBytes, signal);
        hashes = await hashFile(folder, file, onBytes, signal);
      }
      if (hashes.problem !== null) {
        await folder.write(file.name, (open) => open.truncate(0));
        throw new TillerError('model/hash', { file: file.name, problem: hashes.problem });
      }
      await folder.finish(file.name);
      files[i] = { ...file, sha256: hashes.sha256 };
      await save();
    }
    checked += file.bytes;
  }
  report({ stage: 'verify', done: total, total });
}

/** Compares every file with the hash it had when it was complete. @throws model/file, model/hash naming the first damaged one */
export async function verifyFolder(folder: ModelFolder, manifest: Manifest, report: Report, signal: AbortSignal): Promise<void> {
  const total = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  let checked = 0;
  for (const file of manifest.files) {
    const size = await folder.size(file.name);
    if (size !== file.bytes)
      throw new TillerError('model/file', { file: file.name, problem: `it has ${size} of ${file.bytes} bytes; go on downloading` });
    const { sha256, problem } = await hashFile(folder, file, (bytes) => report({ stage: 'verify', done: checked + bytes, total }), signal);
    if (problem !== null) throw new TillerError('model/hash', { file: file.name, problem });
    if (file.sha256 !== null && sha256 !== file.sha256) {
      throw new TillerError('model/hash', { file: file.name, problem: 'its content has changed since it was downloaded' });
    }
    checked += file.bytes;
  }
}

/** Writes what is missing of a file from byte `at` on. */
async function append(
  folder: ModelFolder,
  file: { readonly name: string; readonly bytes: number },
  at: number,
  source: FileAccess,
  onBytes: (there: number) => void,
  signal: AbortSignal,
): Promise<void> {
  await folder.write(file.name, async (open) => {
    if (open.size > at) await open.truncate(at);
    onBytes(at);
    while (at < file.bytes) {
      stopIf(signal);
      const bytes = await source.read(file.name, at, Math.min(at + CHUNK, file.bytes), signal);
      await open.write(bytes, at);
      at += bytes.length;
      onBytes(at);
    }
  });
}

/** SHA-256 of what is stored, and what is wrong with it; null where it is what was expected, or nothing was. */
async function hashFile(
  folder: ModelFolder,
  file: Pick<ManifestFile, 'name' | 'bytes' | 'expected'>,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<{ readonly sha256: string; readonly problem: string | null }> {
  const { name, bytes, expected } = file;
  const hash = folder.hasher('sha256', bytes);
  const git = expected?.kind === 'git-sha1' ? folder.hasher('git-sha1', bytes) : null;
  for (let at = 0; at < bytes; at += CHUNK) {
    stopIf(signal);
    const piece = await folder.read(name, at, Math.min(at + CHUNK, bytes));
    hash.update(piece);
    git?.update(piece);
    onBytes(at + piece.length);
  }
  const sha256 = hash.end();
  const got = git ? git.end() : sha256;
  const problem = expected === null || got === expected.hex ? null : `its ${expected.kind} is ${got}, expected ${expected.hex}`;
  return { sha256, problem };
}
