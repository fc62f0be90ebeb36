import { mkdir, open, rename, rm, statfs, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { PackedInput, PackedOutput, PackedStore } from '../src/model/packed-store.ts';
import { partOf, rememberPacked, removeLeftovers, removePacked } from './packed-files.ts';

/** Bytes that stay free on a disk that packed weights are written to. */
const SPARE_BYTES = 512 * 2 ** 20;

/**
 * A packed file on disk. It has its name only when it is whole and on the disk: whatever happens before, nothing is there.
 * @param folder of the model, and how its weights are packed, for the pointer to the file
 */
export function packedOnDisk(path: string, folder: string, quantization: string): PackedStore {
  return {
    name: path,
    hint: '; --no-weight-cache keeps none',
    async open() {
      const file = await open(path, 'r').catch(() => null);
      return file && input(file);
    },
    async create(bytes) {
      const part = partOf(path);
      try {
        await mkdir(dirname(path), { recursive: true });
        await removeLeftovers(path);
        const { bavail, bsize } = await statfs(dirname(path));
        if (bavail * bsize < bytes + SPARE_BYTES) return { problem: 'the disk has too little room' };
        return output(await open(part, 'w'), part, path, () => rememberPacked(path, folder, quantization));
      } catch (error) {
        return { problem: reason(error) };
      }
    },
    remove: () => removePacked(path),
    reason,
  };
}

async function input(file: FileHandle): Promise<PackedInput> {
  const { size } = await file.stat();
  return {
    size,
    async read(start, length) {
      const out = new Uint8Array(length);
      for (let at = 0; at < length;) {
        const { bytesRead } = await file.read(out, at, Math.min(length - at, 2 ** 30), start + at);
        if (bytesRead === 0) return out.slice(0, at);
        at += bytesRead;
      }
      return out;
    },
    close: () => file.close(),
  };
}

function output(file: FileHandle, part: string, path: string, kept: () => Promise<void>): PackedOutput {
  return {
    async write(bytes, at) {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await file.write(bytes, done, Math.min(bytes.length - done, 2 ** 30), at + done);
        done += bytesWritten;
      }
    },
    async keep() {
      await file.sync();
      await file.close();
      await rename(part, path);
      await syncFolder(dirname(path));
      await kept().catch(() => undefined);
    },
    async discard() {
      await file.close().catch(() => undefined);
      await rm(part, { force: true });
    },
  };
}

/** The name itself is on the disk only when its folder is; systems that cannot sync a folder do without. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

const words: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk is full',
  EACCES: 'the folder cannot be written',
  EPERM: 'the folder cannot be written',
  EROFS: 'the folder cannot be written',
};
const reason = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return Object.hasOwn(words, code) ? words[code] : error instanceof Error ? error.message : String(error);
};
