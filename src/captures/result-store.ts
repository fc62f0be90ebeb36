/**
 * Named blobs that outlive a run: parts of captures, units of a sweep. Names are parts of letters, digits, `.`, `_` and `-`, joined by
 * `/`. What is under a name is complete or absent: a write replaces it as a whole. Implementations are in src/store/.
 */
export interface ResultStore {
  /** Bytes of a blob; null when there is none. */
  size(name: string): Promise<number | null>;
  /** Exactly the bytes [start, end). @throws file/unreadable where it ends early or is not there */
  read(name: string, start: number, end: number): Promise<Uint8Array>;
  /** @throws store/full, file/unwritable, store/unavailable */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Names that begin with `prefix`, sorted. */
  list(prefix: string): Promise<string[]>;
  /** Nothing happens where there is none. */
  remove(name: string): Promise<void>;
}
