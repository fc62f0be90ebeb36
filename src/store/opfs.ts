import { TillerError } from '../errors/error.ts';
import type { FileAccess } from '../model/files.ts';
import type { PackedStore } from '../model/packed-store.ts';
import type { Manifest } from './manifest.ts';
import { isComplete, readManifest, type ModelFolder } from './model-folder.ts';
import { opfsFolder, opfsRoom, plainFileName, storeError } from './opfs-folder.ts';
import { packedBytesIn, packedInOpfs } from './opfs-packed.ts';

/**
 * Models in the browser's private file system: a folder a model, its files as they came, and a manifest. Files grow as they
 * are downloaded, so a download goes on where it stopped, also after a reload.
 */

export interface StoredFolder {
  readonly key: string;
  readonly manifest: Manifest;
  /** Bytes that are there, by file. */
  readonly have: readonly number[];
  /** All files are there and were compared with their hashes. */
  readonly complete: boolean;
  /** Bytes of packed weights that are kept with it. */
  readonly packed: number;
}

const STORE = 'the browser’s storage';

export const folderKey = plainFileName;

export class OpfsStore {
  readonly #root: () => Promise<FileSystemDirectoryHandle>;

  /** @param root the folder to keep models in; by default `models` in the origin's private file system */
  constructor(root?: () => Promise<FileSystemDirectoryHandle>) {
    this.#root = root ?? (async () => (await navigator.storage.getDirectory()).getDirectoryHandle('models', { create: true }));
  }

  /** A model's folder; made where there is none and `create` says so. @param label for messages @throws model/not-found, store/unavailable, store/no-room */
  async folder(key: string, create = false, label = key): Promise<ModelFolder> {
    try {
      return opfsFolder(await (await this.#root()).getDirectoryHandle(key, { create }));
    } catch (cause) {
      if (cause instanceof DOMException && cause.name === 'NotFoundError')
        throw new TillerError('model/not-found', { place: STORE, problem: `nothing is stored as ${key}` });
      throw storeError(cause, label);
    }
  }

  /** What is stored, complete or not. Folders without a readable manifest are left alone and not listed. */
  async list(): Promise<StoredFolder[]> {
    try {
      const folders: StoredFolder[] = [];
      for await (const [key, handle] of (await this.#root()).entries()) {
        if (handle.kind !== 'directory') continue;
        const folder = opfsFolder(handle);
        const manifest = await readManifest(folder);
        if (!manifest) continue;
        const have = await Promise.all(manifest.files.map(({ name }) => folder.size(name)));
        folders.push({ key, manifest, have, complete: isComplete(manifest, have), packed: await packedBytesIn(handle) });
      }
      return folders.sort((a, b) => a.key.localeCompare(b.key));
    } catch (cause) {
      throw storeError(cause, STORE);
    }
  }

  /** What is stored under a key, complete or not; null when there is nothing. */
  async find(key: string): Promise<StoredFolder | null> {
    return (await this.list()).find((folder) => folder.key === key) ?? null;
  }

  /** The files of a stored model. */
  async open(key: string, name: string): Promise<FileAccess> {
    const folder = await this.folder(key);
    const manifest = await readManifest(folder);
    const sizes = new Map(manifest?.files.map((file) => [file.name, file.bytes]));
    return {
      name,
      list: () => Promise.resolve([...sizes.keys()]),
      size: (path) => Promise.resolve(sizes.get(path) ?? null),
      async read(path, start, end, signal) {
        if (signal?.aborted) throw new TillerError('request/aborted');
        return folder.read(path, start, end);
      },
    };
  }

  /** Where packed weights of a stored model lie or may lie. */
  async packed(key: string, quantization: 'q8' | 'q4'): Promise<PackedStore> {
    return packedInOpfs(await (await this.#root()).getDirectoryHandle(key), quantization, opfsRoom);
  }

  /** With all that is kept with it. */
  async remove(key: string): Promise<void> {
    try {
      await (await this.#root()).removeEntry(key, { recursive: true });
    } catch (cause) {
      throw storeError(cause, key);
    }
  }
}
