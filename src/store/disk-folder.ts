import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, statfs, writeFile, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TillerError } from '../errors/error.ts';
import { gitBlobHeader, type MakeHasher } from './file-hash.ts';
import { MANIFEST } from './manifest.ts';
import type { ModelFolder } from './model-folder.ts';

/** A folder of a model on disk. Files that are not complete have `.part` behind their names. Node only. */

const codeOf = (cause: unknown): unknown => (cause instanceof Error && 'code' in cause ? cause.code : undefined);
const FULL: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

function failed(file: string, cause: unknown): TillerError {
  if (cause instanceof TillerError) return cause;
  if (FULL.includes(codeOf(cause))) return new TillerError('store/no-room', { name: file, problem: 'the disk is full' }, { cause });
  return new TillerError('file/unwritable', { file, problem: cause instanceof Error ? cause.message : String(cause) }, { cause });
}

const nodeHasher: MakeHasher = (kind, bytes) => {
  const hash = createHash(kind === 'sha256' ? 'sha256' : 'sha1');
  if (kind === 'git-sha1') hash.update(gitBlobHeader(bytes));
  return { update: (piece) => hash.update(piece), end: () => hash.digest('hex') };
};

async function writeAll(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}

/** @param root the folder; made when something is written */
export function diskFolder(root: string): ModelFolder {
  const whole = (name: string): string => join(root, ...name.split('/'));
  const part = (name: string): string => `${whole(name)}.part`;
  const sizeAt = async (path: string): Promise<number | null> => {
    try {
      return (await stat(path)).size;
    } catch {
      return null;
    }
  };
  return {
    hasher: nodeHasher,
    async size(name) {
      return (await sizeAt(whole(name))) ?? (await sizeAt(part(name))) ?? 0;
    },
    async read(name, start, end) {
      const path = existsSync(whole(name)) ? whole(name) : part(name);
      try {
        const handle = await open(path, 'r');
        try {
          const out = new Uint8Array(end - start);
          let at = 0;
          while (at < out.length) {
            const { bytesRead } = await handle.read(out, at, out.length - at, start + at);
            if (bytesRead === 0)
              throw new TillerError('model/file', { file: path, problem: `it ends at byte ${start + at}, expected ${end}` });
            at += bytesRead;
          }
          return out;
        } finally {
          await handle.close();
        }
      } catch (cause) {
        if (cause instanceof TillerError) throw cause;
        throw new TillerError(
          'file/unreadable',
          { file: path, problem: cause instanceof Error ? cause.message : String(cause) },
          { cause },
        );
      }
    },
    async write(name, work) {
      const path = part(name);
      let handle: FileHandle;
      try {
        await mkdir(dirname(path), { recursive: true });
        // A file that was complete and is written again is not complete any more.
        if (existsSync(whole(name))) await rename(whole(name), path);
        handle = await open(path, existsSync(path) ? 'r+' : 'w+');
      } catch (cause) {
        throw failed(path, cause);
      }
      try {
        const { size } = await handle.stat();
        return await work({
          size,
          write: (bytes, at) => writeAll(handle, bytes, at).catch((cause: unknown) => Promise.reject(failed(path, cause))),
          truncate: (length) => handle.truncate(length).catch((cause: unknown) => Promise.reject(failed(path, cause))),
        });
      } finally {
        await handle.close();
      }
    },
    async finish(name) {
      if (!existsSync(part(name))) return;
      try {
        await rename(part(name), whole(name));
      } catch (cause) {
        throw failed(whole(name), cause);
      }
    },
    async readManifest() {
      try {
        return await readFile(whole(MANIFEST), 'utf8');
      } catch {
        return null;
      }
    },
    async writeManifest(text) {
      const path = whole(MANIFEST);
      try {
        await mkdir(root, { recursive: true });
        await writeFile(`${path}.new`, text);
        await rename(`${path}.new`, path);
      } catch (cause) {
        await rm(`${path}.new`, { force: true }).catch(() => undefined);
        throw failed(path, cause);
      }
    },
    async room() {
      let place = root;
      while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
      try {
        const { bavail, bsize } = await statfs(place);
        return bavail * bsize;
      } catch {
        return null;
      }
    },
  };
}
