import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import * as v from 'valibot';
import { TillerError } from '../errors/error.ts';
import type { FileAccess } from '../model/files.ts';

/**
 * Models in the browser's private file system: a folder a model, its files as they came, and a manifest. Files grow as they
 * are downloaded, so a download goes on where it stopped, also after a reload. Works in workers only (synchronous handles).
 */

const manifestSchema = v.object({
  tiller: v.literal(1),
  label: v.string(),
  /** Where it came from, as the page's own value; opaque here. */
  place: v.unknown(),
  files: v.array(
    v.object({
      name: v.string(),
      bytes: v.number(),
      /** SHA-256 of the complete file, once it has been computed. */
      sha256: v.nullable(v.string()),
    }),
  ),
});

export type Manifest = v.InferOutput<typeof manifestSchema>;

export interface StoredFolder {
  readonly key: string;
  readonly manifest: Manifest;
  /** Bytes that are there, by file. */
  readonly have: readonly number[];
}

export interface StoreProgress {
  readonly stage: 'download' | 'verify';
  readonly done: number;
  readonly total: number;
}

type Report = (progress: StoreProgress) => void;

const MANIFEST = 'manifest.json';
const CHUNK = 8 * 2 ** 20;

const unavailable = (cause: unknown): TillerError =>
  cause instanceof TillerError
    ? cause
    : new TillerError('store/unavailable', { problem: cause instanceof Error ? cause.message : String(cause) }, { cause });

const stopIf = (signal: AbortSignal): void => {
  if (signal.aborted) throw new TillerError('request/aborted');
};

/** A name that the file system takes. Different names may not become one, so what is replaced is spelled out. */
export const folderKey = (name: string): string =>
  name.replace(/[^A-Za-z0-9._-]/g, (char) => `~${char.codePointAt(0)?.toString(16) ?? ''}~`).slice(0, 200);

export class OpfsStore {
  readonly #root: () => Promise<FileSystemDirectoryHandle>;

  /** @param root the folder to keep models in; by default `models` in the origin's private file system */
  constructor(root?: () => Promise<FileSystemDirectoryHandle>) {
    this.#root = root ?? (async () => (await navigator.storage.getDirectory()).getDirectoryHandle('models', { create: true }));
  }

  async #folder(key: string, create = false): Promise<FileSystemDirectoryHandle> {
    try {
      return await (await this.#root()).getDirectoryHandle(key, { create });
    } catch (cause) {
      if (cause instanceof DOMException && cause.name === 'NotFoundError') {
        throw new TillerError('model/not-found', { place: 'the browser’s storage', problem: `nothing is stored as ${key}` });
      }
      throw unavailable(cause);
    }
  }

  /** What is stored, complete or not. Folders without a readable manifest are left alone and not listed. */
  async list(): Promise<StoredFolder[]> {
    try {
      const folders: StoredFolder[] = [];
      for await (const [key, handle] of (await this.#root()).entries()) {
        if (handle.kind !== 'directory') continue;
        const stored = await this.#read(key, handle);
        if (stored) folders.push(stored);
      }
      return folders.sort((a, b) => a.key.localeCompare(b.key));
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  async #read(key: string, folder: FileSystemDirectoryHandle): Promise<StoredFolder | null> {
    try {
      const text = await (await (await folder.getFileHandle(MANIFEST)).getFile()).text();
      const manifest = v.parse(manifestSchema, JSON.parse(text));
      const have = await Promise.all(manifest.files.map((file) => sizeOf(folder, file.name)));
      return { key, manifest, have };
    } catch {
      return null;
    }
  }

  /** A stored model, or null when there is none or it is not complete. */
  async complete(key: string): Promise<StoredFolder | null> {
    const stored = (await this.list()).find((folder) => folder.key === key);
    return stored && stored.manifest.files.every((file, i) => stored.have[i] === file.bytes) ? stored : null;
  }

  /** The files of a stored model. */
  async open(key: string, name: string): Promise<FileAccess> {
    const folder = await this.#folder(key);
    const opened = new Map<string, File>();
    const file = async (path: string): Promise<File | null> => {
      try {
        const found = opened.get(path) ?? (await (await folder.getFileHandle(path)).getFile());
        opened.set(path, found);
        return found;
      } catch {
        return null;
      }
    };
    return {
      name,
      async size(path) {
        return (await file(path))?.size ?? null;
      },
      async read(path, start, end, signal) {
        if (signal) stopIf(signal);
        const found = await file(path);
        if (!found) throw new TillerError('file/unreadable', { file: path, problem: 'it is not in the browser’s storage' });
        if (end > found.size)
          throw new TillerError('model/file', { file: path, problem: `it ends at byte ${found.size}, expected ${end}` });
        return new Uint8Array(await found.slice(start, end).arrayBuffer());
      },
    };
  }

  /**
   * Copies files into the store, from where an earlier attempt stopped. Room is asked for before anything is written; at the end the
   * SHA-256 of every file is computed from what is on disk and kept for `verify`.
   * @throws store/unavailable, request/aborted, and what `source` throws
   */
  async fetch(
    key: string,
    label: string,
    place: unknown,
    source: FileAccess,
    names: readonly string[],
    report: Report,
    signal: AbortSignal,
  ): Promise<void> {
    const files: Manifest['files'] = [];
    for (const name of names) {
      const bytes = await source.size(name, signal);
      if (bytes === null) throw new TillerError('model/not-found', { place: source.name, problem: `${name} is not there` });
      files.push({ name, bytes, sha256: null });
    }
    const folder = await this.#folder(key, true);
    const earlier = await this.#read(key, folder);
    const total = files.reduce((sum, file) => sum + file.bytes, 0);
    const have = await Promise.all(files.map((file) => sizeOf(folder, file.name)));
    await checkRoom(total - have.reduce((a, b) => a + b, 0));
    await writeManifest(folder, { tiller: 1, label, place, files });

    let done = 0;
    for (const file of files) {
      const before = earlier?.manifest.files.find((known) => known.name === file.name);
      // A file that has changed its size at the source is another file.
      const keep = before === undefined || before.bytes === file.bytes;
      done = await append(folder, file, source, keep, done, total, report, signal);
    }
    const hashed: Manifest['files'] = [];
    let checked = 0;
    for (const file of files) {
      const hash = await hashFile(folder, file.name, (bytes) => report({ stage: 'verify', done: checked + bytes, total }), signal);
      checked += file.bytes;
      hashed.push({ ...file, sha256: hash });
    }
    await writeManifest(folder, { tiller: 1, label, place, files: hashed });
  }

  /** Compares every file with the hash it had when it was complete. @throws model/file naming the first damaged one */
  async verify(key: string, report: Report, signal: AbortSignal): Promise<void> {
    const folder = await this.#folder(key);
    const stored = await this.#read(key, folder);
    if (!stored) throw new TillerError('model/not-found', { place: 'the browser’s storage', problem: `${key} has no manifest` });
    const total = stored.manifest.files.reduce((sum, file) => sum + file.bytes, 0);
    let checked = 0;
    for (const [i, file] of stored.manifest.files.entries()) {
      if (stored.have[i] !== file.bytes) {
        throw new TillerError('model/file', {
          file: file.name,
          problem: `it has ${stored.have[i]} of ${file.bytes} bytes; go on downloading`,
        });
      }
      const hash = await hashFile(folder, file.name, (bytes) => report({ stage: 'verify', done: checked + bytes, total }), signal);
      if (file.sha256 !== null && hash !== file.sha256) {
        throw new TillerError('model/file', { file: file.name, problem: 'its content has changed since it was downloaded' });
      }
      checked += file.bytes;
    }
  }

  async remove(key: string): Promise<void> {
    try {
      await (await this.#root()).removeEntry(key, { recursive: true });
    } catch (cause) {
      throw unavailable(cause);
    }
  }
}

async function sizeOf(folder: FileSystemDirectoryHandle, name: string): Promise<number> {
  try {
    return (await (await folder.getFileHandle(name)).getFile()).size;
  } catch {
    return 0;
  }
}

async function writeManifest(folder: FileSystemDirectoryHandle, manifest: Manifest): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(manifest));
  await withHandle(folder, MANIFEST, (handle) => {
    handle.truncate(0);
    handle.write(bytes, { at: 0 });
    handle.flush();
    return Promise.resolve();
  });
}

async function withHandle<T>(
  folder: FileSystemDirectoryHandle,
  name: string,
  work: (handle: FileSystemSyncAccessHandle) => Promise<T>,
): Promise<T> {
  let handle: FileSystemSyncAccessHandle;
  try {
    handle = await (await folder.getFileHandle(name, { create: true })).createSyncAccessHandle();
  } catch (cause) {
    throw unavailable(cause);
  }
  try {
    return await work(handle);
  } finally {
    handle.close();
  }
}

/** Appends what is missing of one file. Gives the bytes of all files that are there now. */
async function append(
  folder: FileSystemDirectoryHandle,
  file: { readonly name: string; readonly bytes: number },
  source: FileAccess,
  keep: boolean,
  done: number,
  total: number,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  return withHandle(folder, file.name, async (handle) => {
    let at = handle.getSize();
    if (!keep || at > file.bytes) {
      handle.truncate(0);
      at = 0;
    }
    report({ stage: 'download', done: done + at, total });
    while (at < file.bytes) {
      stopIf(signal);
      const bytes = await source.read(file.name, at, Math.min(at + CHUNK, file.bytes), signal);
      const written = handle.write(bytes, { at });
      if (written !== bytes.length) throw new TillerError('store/unavailable', { problem: 'the disk is full' });
      handle.flush();
      at += written;
      report({ stage: 'download', done: done + at, total });
    }
    return done + file.bytes;
  });
}

async function hashFile(
  folder: FileSystemDirectoryHandle,
  name: string,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<string> {
  const file = await (await folder.getFileHandle(name)).getFile();
  const hash = sha256.create();
  for (let at = 0; at < file.size; at += CHUNK) {
    stopIf(signal);
    hash.update(new Uint8Array(await file.slice(at, at + CHUNK).arrayBuffer()));
    onBytes(Math.min(at + CHUNK, file.size));
  }
  return bytesToHex(hash.digest());
}

async function checkRoom(needed: number): Promise<void> {
  const { quota, usage } = await navigator.storage.estimate();
  if (quota === undefined || usage === undefined) return;
  const free = quota - usage;
  if (needed > free) {
    const mb = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
    throw new TillerError('store/unavailable', { problem: `${mb(needed)} are needed and ${mb(Math.max(0, free))} are free` });
  }
}
