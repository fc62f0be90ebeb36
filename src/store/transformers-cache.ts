import type { FileAccess } from '../model/files.ts';
import { plainHasher } from './file-hash.ts';
import type { DownloadPlan, PlannedFile } from './model-folder.ts';

/**
 * Files that another page of this origin has already downloaded with transformers.js: its cache is called `transformers-cache`, and the
 * key of a file is its whole address. Read from there they need no network. Only what has the size and the hash that the hub tells is
 * taken, so it does not matter which revision the other page had.
 */

const CACHE = 'transformers-cache';
const CHUNK = 8 * 2 ** 20;

/** Keys that transformers.js would have used: by branch, which is what pages ask for, and by commit. */
export function transformersKeys({ hub, repository, revision, commit }: NonNullable<DownloadPlan['origin']>, path: string): string[] {
  return [...new Set([revision, commit])].map((ref) => new URL(`${repository}/resolve/${encodeURIComponent(ref)}/${path}`, hub).href);
}

async function isRight(blob: Blob, { bytes, expected }: PlannedFile): Promise<boolean> {
  if (expected === null || blob.size !== bytes) return false;
  const hash = plainHasher(expected.kind, bytes);
  for (let at = 0; at < bytes; at += CHUNK) hash.update(new Uint8Array(await blob.slice(at, at + CHUNK).arrayBuffer()));
  return hash.end() === expected.hex;
}

/**
 * The source of a plan, with files taken from the cache where they are there and right.
 * @param open `caches.open`, where the browser has it
 * @param onTaken told of every file that needs no download
 */
export function withTransformersCache(
  source: FileAccess,
  plan: DownloadPlan,
  open: (name: string) => Promise<Pick<Cache, 'match'>>,
  onTaken: (name: string) => void,
): FileAccess {
  const { origin } = plan;
  if (origin === null) return source;
  const looked = new Map<string, Promise<Blob | null>>();

  const look = async (file: PlannedFile): Promise<Blob | null> => {
    try {
      const cache = await open(CACHE);
      for (const key of transformersKeys(origin, file.name)) {
        const response = await cache.match(key);
        if (!response?.ok) continue;
        const blob = await response.blob();
        if (!(await isRight(blob, file))) continue;
        onTaken(file.name);
        return blob;
      }
    } catch {
      // A cache that cannot be read is as good as an empty one: the file is downloaded.
    }
    return null;
  };

  return {
    ...source,
    async read(path, start, end, signal) {
      const file = plan.files.find(({ name }) => name === path);
      if (!file) return source.read(path, start, end, signal);
      const found = looked.get(path) ?? look(file);
      looked.set(path, found);
      const blob = await found;
      return blob ? new Uint8Array(await blob.slice(start, end).arrayBuffer()) : source.read(path, start, end, signal);
    },
  };
}
