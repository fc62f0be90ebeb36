import { TillerError } from '../errors/error.ts';
import type { PackedInput, PackedOutput, PackedStore } from '../model/packed-store.ts';

/**
 * Packed weights in a model's folder of the browser's private file system, so that they go when the model goes. Workers only: files are read and
 * written through synchronous handles, of which a file has one at a time in all pages.
 */

const FOLDER = '.tiller';
const FULL = 'the browser’s storage for this page is full';

function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if (cause.name === 'QuotaExceededError') return FULL;
  return cause.name === 'NoModificationAllowedError' ? 'another page of this browser uses them' : cause.message;
}

/** The packed file of one quantisation. @param room bytes that still fit; null where it cannot be told */
export function packedInOpfs(model: FileSystemDirectoryHandle, quantization: 'q8' | 'q4', room: () => Promise<number | null>): PackedStore {
  const file = `weights-${quantization}.safetensors`;
  const name = 'this browser’s storage';
  const handleOf = async (create: boolean): Promise<FileSystemSyncAccessHandle> => {
    const folder = await model.getDirectoryHandle(FOLDER, { create });
    return (await folder.getFileHandle(file, { create })).createSyncAccessHandle();
  };
  const remove = async (): Promise<void> => (await model.getDirectoryHandle(FOLDER)).removeEntry(file);
  return {
    name,
    hint: '',
    async open() {
      const handle = await handleOf(false).catch(() => null);
      return handle && input(handle, name);
    },
    async create(bytes) {
      let made: PackedOutput | null = null;
      try {
        const handle = await handleOf(true);
        made = output(handle, remove);
        // What an earlier one has left takes no room from this one.
        handle.truncate(0);
        const free = await room();
        if (free === null || free >= bytes) return made;
        await made.discard();
        return { problem: `${megabytes(bytes)} are needed and ${megabytes(Math.max(0, free))} are free` };
      } catch (cause) {
        await made?.discard();
        return { problem: reason(cause) };
      }
    },
    remove,
    reason,
  };
}

/** Bytes of all packed files of a model, half ones too. */
export async function packedBytesIn(model: FileSystemDirectoryHandle): Promise<number> {
  const folder = await model.getDirectoryHandle(FOLDER).catch(() => null);
  if (folder === null) return 0;
  let bytes = 0;
  for await (const handle of folder.values()) {
    // One may be removed while they are counted.
    const file = handle.kind === 'file' ? await handle.getFile().catch(() => null) : null;
    bytes += file?.size ?? 0;
  }
  return bytes;
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;

function input(handle: FileSystemSyncAccessHandle, name: string): PackedInput {
  return {
    size: handle.getSize(),
    read(start, length) {
      const out = new Uint8Array(length);
      try {
        const read = handle.read(out, { at: start });
        return Promise.resolve(read === length ? out : out.slice(0, read));
      } catch {
        return Promise.reject(new TillerError('model/packed-damaged', { file: name, name: 'what cannot be read' }));
      }
    },
    close: () => Promise.resolve(handle.close()),
  };
}

function output(handle: FileSystemSyncAccessHandle, remove: () => Promise<void>): PackedOutput {
  return {
    write(bytes, at) {
      try {
        const written = handle.write(bytes, { at });
        return written === bytes.length ? Promise.resolve() : Promise.reject(new Error(FULL));
      } catch (cause) {
        return Promise.reject(cause instanceof Error ? cause : new Error(String(cause)));
      }
    },
    keep() {
      handle.flush();
      return Promise.resolve(handle.close());
    },
    async discard() {
      handle.close();
      await remove().catch(() => undefined);
    },
  };
}
