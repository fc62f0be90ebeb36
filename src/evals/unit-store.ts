import { canonicalJson } from '../graph/canonical.ts';
import { sha256Hex } from '../graph/sha256.ts';

/** What a finished unit of work may hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/**
 * Where finished units of work are kept, so that a study that was stopped does none of them again. A value that cannot be read counts as
 * absent; whoever asked does the unit again.
 */
export interface UnitStore {
  /** Undefined where there is none. */
  get(key: string): Promise<unknown>;
  set(key: string, value: Json): Promise<void>;
}

/** Hex SHA-256 of everything a unit depends on, as RFC 8785 JSON. */
export function unitKey(parts: Json): string {
  return sha256Hex(new TextEncoder().encode(canonicalJson(parts)));
}

/** Units kept as long as the object lives. */
export function memoryUnits(): UnitStore {
  const units = new Map<string, Json>();
  return {
    get: (key) => Promise.resolve(units.get(key)),
    set: (key, value) => {
      units.set(key, value);
      return Promise.resolve();
    },
  };
}
