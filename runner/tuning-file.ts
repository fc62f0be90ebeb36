import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TuningStore } from '../src/engine/webgpu/host.ts';
import { isRecord } from '../src/formats/json.ts';
import { cacheFolder } from './cache-folder.ts';

/**
 * Remembers which kernels were the fastest on an adapter, in one file of the user's cache folder. A file that cannot be read or written
 * costs a measurement and nothing else.
 */
export function tuningFile(path = join(cacheFolder(), 'kernels.json')): TuningStore {
  const all = async (): Promise<Record<string, unknown>> => {
    try {
      const value: unknown = JSON.parse(await readFile(path, 'utf8'));
      return isRecord(value) ? value : {};
    } catch {
      return {};
    }
  };
  return {
    async read(key) {
      const value = (await all())[key];
      return typeof value === 'string' ? value : null;
    },
    async write(key, value) {
      const part = `${path}.${process.pid}.part`;
      try {
        await mkdir(dirname(path), { recursive: true });
        await writeFile(part, JSON.stringify({ ...(await all()), [key]: value }));
        await rename(part, path);
      } catch {
        // A read-only home: the next load measures again.
      }
    },
  };
}
