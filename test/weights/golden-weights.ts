import { readFileSync } from 'node:fs';
import { parseSafetensors, tensorF32 } from '../../src/formats/safetensors.ts';
import { parseConfig } from '../../src/model/config.ts';
import type { FileAccess } from '../../src/model/files.ts';
import type { ModelSpec } from '../../src/model/spec.ts';

/** A golden model's shape and weights, to make other kinds of files from. */
export interface GoldenModel {
  readonly config: Record<string, unknown>;
  readonly spec: ModelSpec;
  weights(name: string): Float32Array;
}

export function goldenModel(name: string): GoldenModel {
  const folder = new URL(`../goldens/${name}/`, import.meta.url);
  const config = JSON.parse(readFileSync(new URL('config.json', folder), 'utf8')) as Record<string, unknown>;
  const bytes = new Uint8Array(readFileSync(new URL('model.safetensors', folder)));
  const entries = parseSafetensors(bytes, name);
  return {
    config,
    spec: parseConfig(config),
    weights(tensor) {
      const entry = entries.get(tensor);
      if (!entry) throw new Error(`the golden ${name} has no ${tensor}`);
      return tensorF32(bytes, entry);
    },
  };
}

/** Files in memory. */
export function memoryFiles(contents: Readonly<Record<string, Uint8Array | string>>): FileAccess {
  const bytes = new Map(
    Object.entries(contents).map(([name, value]) => [
      name,
      typeof value === 'string' ? new TextEncoder().encode(value) : new Uint8Array(value),
    ]),
  );
  return {
    name: 'memory',
    list: () => Promise.resolve([...bytes.keys()].sort()),
    size: (path) => Promise.resolve(bytes.get(path)?.length ?? null),
    read(path, start, end) {
      const file = bytes.get(path);
      // What a real place does: exactly these bytes, or an error.
      if (!file || !(start >= 0 && start <= end && end <= file.length)) throw new Error(`${path} was read from ${start} to ${end}`);
      return Promise.resolve(file.slice(start, end));
    },
  };
}
