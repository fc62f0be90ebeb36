import type { ResultStore } from '../captures/result-store.ts';
import { TillerError } from '../errors/error.ts';
import { resultNameParts } from './results-name.ts';

const named = (error: unknown, ...names: readonly string[]): boolean => error instanceof Error && names.includes(error.name);
const isMissing = (error: unknown): boolean => named(error, 'NotFoundError', 'TypeMismatchError');
const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The errors of the file system in words of the catalogue. */
function asError(cause: unknown, bytes = 0): TillerError {
  if (cause instanceof TillerError) return cause;
  if (named(cause, 'QuotaExceededError')) return new TillerError('store/full', { needed: `${bytes} bytes` }, { cause });
  return new TillerError('store/unavailable', { problem: reason(cause) }, { cause });
}

/**
 * Results in the origin's private file system. Writing goes through a stream that replaces the file when it is closed; where a browser
 * has only synchronous handles, in workers, the file is written in place, and readers know a half one by its size and hash.
 * @param root the folder to keep results in; by default `results` in the origin's private file system
 */
export function resultsOpfs(root?: () => Promise<FileSystemDirectoryHandle>): ResultStore {
  const top = root ?? (async () => (await navigator.storage.getDirectory()).getDirectoryHandle('results', { create: true }));

  async function folderOf(parts: readonly string[], create: boolean): Promise<FileSystemDirectoryHandle> {
    let folder = await top();
    for (const part of parts.slice(0, -1)) folder = await folder.getDirectoryHandle(part, { create });
    return folder;
  }
  async function fileOf(name: string): Promise<File | null> {
    const parts = resultNameParts(name);
    try {
      return await (await (await folderOf(parts, false)).getFileHandle(parts[parts.length - 1])).getFile();
    } catch (cause) {
      if (isMissing(cause)) return null;
      throw asError(cause);
    }
  }

  return {
    size: async (name) => (await fileOf(name))?.size ?? null,
    async read(name, start, end) {
      const file = await fileOf(name);
      if (!file || end > file.size) throw new TillerError('file/unreadable', { file: name, problem: 'it is not there or ends early' });
      try {
        return new Uint8Array(await file.slice(start, end).arrayBuffer());
      } catch (cause) {
        throw new TillerError('file/unreadable', { file: name, problem: reason(cause) }, { cause });
      }
    },
    async write(name, bytes) {
      const parts = resultNameParts(name);
      const before = await fileOf(name);
      try {
        const handle = await (await folderOf(parts, true)).getFileHandle(parts[parts.length - 1], { create: true });
        if ('createWritable' in handle) await replace(handle, bytes);
        else await overwrite(handle, bytes);
      } catch (cause) {
        // What was made only to be filled is taken away again.
        if (before === null) await this.remove(name).catch(() => undefined);
        throw asError(cause, bytes.length);
      }
    },
    async list(prefix) {
      const names: string[] = [];
      const walk = async (folder: FileSystemDirectoryHandle, path: string): Promise<void> => {
        for await (const [name, handle] of folder.entries()) {
          if (handle.kind === 'directory') await walk(handle, `${path}${name}/`);
          else if (`${path}${name}`.startsWith(prefix)) names.push(`${path}${name}`);
        }
      };
      try {
        await walk(await top(), '');
      } catch (cause) {
        throw asError(cause);
      }
      return names.sort();
    },
    async remove(name) {
      const parts = resultNameParts(name);
      try {
        await (await folderOf(parts, false)).removeEntry(parts[parts.length - 1]);
      } catch (cause) {
        if (!isMissing(cause)) throw asError(cause);
      }
    },
  };
}

async function replace(handle: FileSystemFileHandle, bytes: Uint8Array): Promise<void> {
  const stream = await handle.createWritable();
  try {
    await stream.write(bytes as Uint8Array<ArrayBuffer>);
    await stream.close();
  } catch (cause) {
    await stream.abort().catch(() => undefined);
    throw cause;
  }
}

async function overwrite(handle: FileSystemFileHandle, bytes: Uint8Array): Promise<void> {
  const access = await handle.createSyncAccessHandle();
  try {
    access.truncate(0);
    const written = access.write(bytes, { at: 0 });
    if (written !== bytes.length) throw new TillerError('store/full', { needed: `${bytes.length} bytes` });
    access.flush();
  } finally {
    access.close();
  }
}
