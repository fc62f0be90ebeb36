import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { ResultStore } from '../captures/result-store.ts';
import { TillerError } from '../errors/error.ts';
import { resultNameParts } from './results-name.ts';

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');
const isMissing = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(codeOf(error));
const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Begins names of files that are being written; names of results never begin with it. */
const UNFINISHED = '.unfinished-';

/**
 * Results in a folder, which is made when something is written. A blob is written under another name, brought to disk and then renamed,
 * so that a run that is killed leaves no half ones, and two runs on one folder do each other no harm. Node only.
 */
export function resultsFolder(folder: string): ResultStore {
  const root = resolve(folder);
  const pathOf = (name: string): string => join(root, ...resultNameParts(name));
  return {
    async size(name) {
      try {
        const info = await stat(pathOf(name));
        return info.isFile() ? info.size : null;
      } catch (cause) {
        if (isMissing(cause)) return null;
        throw new TillerError('file/unreadable', { file: name, problem: reason(cause) }, { cause });
      }
    },
    async read(name, start, end) {
      const out = new Uint8Array(end - start);
      let handle;
      try {
        handle = await open(pathOf(name), 'r');
        let at = 0;
        while (at < out.length) {
          const { bytesRead } = await handle.read(out, at, out.length - at, start + at);
          if (bytesRead === 0) throw new TillerError('file/unreadable', { file: name, problem: `it ends at byte ${start + at}` });
          at += bytesRead;
        }
        return out;
      } catch (cause) {
        throw cause instanceof TillerError ? cause : new TillerError('file/unreadable', { file: name, problem: reason(cause) }, { cause });
      } finally {
        await handle?.close();
      }
    },
    async write(name, bytes) {
      const path = pathOf(name);
      const unfinished = join(dirname(path), `${UNFINISHED}${randomUUID()}`);
      try {
        await mkdir(dirname(path), { recursive: true });
        const handle = await open(unfinished, 'wx');
        try {
          await handle.writeFile(bytes);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(unfinished, path);
      } catch (cause) {
        await rm(unfinished, { force: true }).catch(() => undefined);
        if (['ENOSPC', 'EDQUOT'].includes(codeOf(cause)))
          throw new TillerError('store/full', { needed: `${bytes.length} bytes` }, { cause });
        throw new TillerError('file/unwritable', { file: path, problem: reason(cause) }, { cause });
      }
    },
    async list(prefix) {
      try {
        const entries = await readdir(root, { recursive: true, withFileTypes: true });
        const from = root.length + 1;
        return entries
          .filter((entry) => entry.isFile() && !entry.name.startsWith(UNFINISHED))
          .map((entry) => join(entry.parentPath, entry.name).slice(from).replaceAll('\\', '/'))
          .filter((name) => name.startsWith(prefix))
          .sort();
      } catch (cause) {
        if (isMissing(cause)) return [];
        throw new TillerError('file/unreadable', { file: folder, problem: reason(cause) }, { cause });
      }
    },
    async remove(name) {
      await rm(pathOf(name), { force: true });
    },
  };
}
