import type { ResultStore } from '../captures/result-store.ts';
import { unitKey, type Json, type UnitStore } from '../evals/unit-store.ts';
import { readJson } from '../formats/json.ts';

/** Finished units in a store of results. Units are small and many, so they are written by the page; `flush` writes the last one. */
export interface StoredUnits extends UnitStore {
  flush(): Promise<void>;
}

/** Units a page holds; a run that is killed does at most as many again. */
const pageUnits = 128;
/** Pages of one namespace before they are written together as one. */
const mostPages = 64;

/**
 * @param namespace letters, digits and `-`: units of one study are read together, those of others are left alone
 */
export function storedUnits(store: ResultStore, namespace: string): StoredUnits {
  const prefix = `units/${namespace}/`;
  const units = new Map<string, unknown>();
  let pending: Record<string, Json> = {};
  let count = 0;
  let loading: Promise<void> | null = null;

  const load = async (): Promise<void> => {
    const names = await store.list(prefix);
    for (const name of names) {
      const size = await store.size(name);
      if (size === null) continue;
      // Another process may put pages together just now; what is missing or damaged is done again.
      const json = await store.read(name, 0, size).then(readJson, () => ({ problem: 'gone' }));
      if ('value' in json && typeof json.value === 'object' && json.value !== null) {
        for (const [key, value] of Object.entries(json.value)) units.set(key, value);
      }
    }
    if (names.length <= mostPages) return;
    const merged = await write(Object.fromEntries(units) as Record<string, Json>);
    for (const name of names) if (name !== merged) await store.remove(name);
  };

  /** Named by its content: two processes with the same units write the same page. */
  const write = async (page: Record<string, Json>): Promise<string> => {
    const name = `${prefix}${unitKey(page)}.json`;
    await store.write(name, new TextEncoder().encode(JSON.stringify(page)));
    return name;
  };

  const flush = async (): Promise<void> => {
    if (count === 0) return;
    const page = pending;
    pending = {};
    count = 0;
    await write(page);
  };

  return {
    async get(key) {
      await (loading ??= load());
      return units.get(key);
    },
    async set(key, value) {
      await (loading ??= load());
      units.set(key, value);
      pending[key] = value;
      count += 1;
      if (count >= pageUnits) await flush();
    },
    flush,
  };
}
