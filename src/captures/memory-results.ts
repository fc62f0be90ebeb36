import { TillerError } from '../errors/error.ts';
import type { ResultStore } from './result-store.ts';

/** Results in memory, for as long as the program runs. */
export function memoryResults(): ResultStore {
  const blobs = new Map<string, Uint8Array>();
  return {
    size: async (name) => blobs.get(name)?.length ?? null,
    async read(name, start, end) {
      const bytes = blobs.get(name);
      if (!bytes || end > bytes.length) throw new TillerError('file/unreadable', { file: name, problem: 'it is not there or ends early' });
      return bytes.slice(start, end);
    },
    async write(name, bytes) {
      blobs.set(name, bytes.slice());
    },
    list: async (prefix) => [...blobs.keys()].filter((name) => name.startsWith(prefix)).sort(),
    async remove(name) {
      blobs.delete(name);
    },
  };
}
