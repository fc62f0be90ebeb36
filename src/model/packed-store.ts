/** One place where a file of packed weights may lie: a path on a disk, a file in the browser's private file system, memory in tests. */
export interface PackedStore {
  /** Where that is, for sentences: "packed weights are read from NAME". */
  readonly name: string;
  /** What is to be known of a file that was kept; empty where there is nothing to say. */
  readonly hint: string;
  /** Opens the file; null where there is none, or none that can be opened. */
  open(): Promise<PackedInput | null>;
  /** Begins a file of about this many bytes in the place of one that may be there, or says why there can be none. */
  create(bytes: number): Promise<PackedOutput | { readonly problem: string }>;
  /** Removes the file, also a half one. */
  remove(): Promise<void>;
  /** What went wrong with one of its files, in words. */
  reason(error: unknown): string;
}

/** A packed file, open for reading. */
export interface PackedInput {
  readonly size: number;
  /** Bytes [start, start + length) in a buffer of their own; fewer only where the file ends. */
  read(start: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** A packed file that is being written, in any order. */
export interface PackedOutput {
  /** All of the bytes, or an error. */
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** Brings what was written to the disk, makes it the file of this place and closes it. */
  keep(): Promise<void>;
  /** Closes it and leaves nothing behind. */
  discard(): Promise<void>;
}
