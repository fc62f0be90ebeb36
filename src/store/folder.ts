import { open, readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { TillerError } from '../errors/error.ts';
import type { FileAccess } from '../model/files.ts';

/** A path inside the folder: plain names and subfolders, never upwards. */
function inside(folder: string, path: string): string {
  if (path.split(/[\\/]/).includes('..') || path.startsWith('/'))
    throw new TillerError('file/unreadable', { file: path, problem: 'it lies outside of the folder' });
  return join(folder, path);
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Files of a folder on disk. Node only. */
export function openFolder(folder: string): FileAccess {
  const root = resolve(folder);
  return {
    name: basename(root),
    async list() {
      try {
        return (await readdir(root)).sort();
      } catch (cause) {
        throw new TillerError('model/not-found', { place: folder, problem: reason(cause) }, { cause });
      }
    },
    async size(path) {
      try {
        const info = await stat(inside(root, path));
        return info.isFile() ? info.size : null;
      } catch (cause) {
        if (isMissing(cause)) return null;
        throw cause instanceof TillerError ? cause : new TillerError('file/unreadable', { file: path, problem: reason(cause) }, { cause });
      }
    },
    async read(path, start, end, signal) {
      if (signal?.aborted) throw new TillerError('request/aborted');
      const out = new Uint8Array(end - start);
      let handle;
      try {
        handle = await open(inside(root, path), 'r');
        let at = 0;
        while (at < out.length) {
          const { bytesRead } = await handle.read(out, at, Math.min(out.length - at, 2 ** 30), start + at);
          if (bytesRead === 0)
            throw new TillerError('model/file', { file: path, problem: `it ends at byte ${start + at}, expected ${end}` });
          at += bytesRead;
        }
      } catch (cause) {
        throw cause instanceof TillerError ? cause : new TillerError('file/unreadable', { file: path, problem: reason(cause) }, { cause });
      } finally {
        await handle?.close();
      }
      return out;
    },
  };
}
