import { TillerError } from '../errors/error.ts';
import { plainHasher } from './file-hash.ts';
import { MANIFEST } from './manifest.ts';
import type { ModelFolder } from './model-folder.ts';

/** What the browser said, as an error of the catalogue. A page's share of the disk ends with QuotaExceededError. @param name of the file */
export function storeError(cause: unknown, name: string): TillerError {
  if (cause instanceof TillerError) return cause;
  const problem = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof Error && cause.name === 'QuotaExceededError')
    return new TillerError('store/no-room', { name, problem: 'the browser’s storage for this page is full' }, { cause });
  return new TillerError('store/unavailable', { problem }, { cause });
}

/** A name that the file system takes. Different names may not become one, so what is replaced is spelled out. */
export const plainFileName = (name: string): string =>
  name.replace(/[^A-Za-z0-9._-]/g, (char) => `~${char.codePointAt(0)?.toString(16) ?? ''}~`).slice(0, 200);

/** Bytes that the browser still lets this page store; null where it does not say. */
export async function opfsRoom(): Promise<number | null> {
  const { quota, usage } = await navigator.storage.estimate();
  return quota === undefined || usage === undefined ? null : quota - usage;
}

async function fileOf(folder: FileSystemDirectoryHandle, name: string): Promise<File | null> {
  try {
    return await (await folder.getFileHandle(plainFileName(name))).getFile();
  } catch {
    return null;
  }
}

/** A folder of a model in the browser's private file system. Writing works in workers only (synchronous handles). */
export function opfsFolder(folder: FileSystemDirectoryHandle): ModelFolder {
  const write: ModelFolder['write'] = async (name, work) => {
    let handle: FileSystemSyncAccessHandle;
    try {
      handle = await (await folder.getFileHandle(plainFileName(name), { create: true })).createSyncAccessHandle();
    } catch (cause) {
      throw storeError(cause, name);
    }
    const guarded = (change: () => void): Promise<void> => {
      try {
        change();
        return Promise.resolve();
      } catch (cause) {
        return Promise.reject(storeError(cause, name));
      }
    };
    try {
      return await work({
        size: handle.getSize(),
        write: (bytes, at) =>
          guarded(() => {
            const written = handle.write(bytes, { at });
            if (written !== bytes.length) throw new TillerError('store/no-room', { name, problem: 'the disk is full' });
            handle.flush();
          }),
        truncate: (size) => guarded(() => handle.truncate(size)),
      });
    } finally {
      handle.close();
    }
  };
  return {
    hasher: plainHasher,
    write,
    finish: () => Promise.resolve(),
    size: async (name) => (await fileOf(folder, name))?.size ?? 0,
    async read(name, start, end) {
      const file = await fileOf(folder, name);
      if (!file) throw new TillerError('file/unreadable', { file: name, problem: 'it is not in the browser’s storage' });
      if (end > file.size) throw new TillerError('model/file', { file: name, problem: `it ends at byte ${file.size}, expected ${end}` });
      return new Uint8Array(await file.slice(start, end).arrayBuffer());
    },
    readManifest: async () => (await fileOf(folder, MANIFEST))?.text() ?? null,
    async writeManifest(text) {
      const bytes = new TextEncoder().encode(text);
      await write(MANIFEST, async (file) => {
        await file.write(bytes, 0);
        await file.truncate(bytes.length);
      });
    },
    room: opfsRoom,
  };
}
