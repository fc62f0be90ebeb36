/**
 * The row table that kernels share: vec4<u32> a row, (token, slot of the cache, position, flags). Flags are the row of the
 * strength table (low half), the ring step (bits 16 to 23) and these.
 */

/** Steps of decoding that rings of selections and sampled tokens hold. */
export const RING = 16;
/** Computed here for others' sake; comes again in a call that counts its edits. */
export const UNCOUNTED_BIT = 0x20000000;
export const LAST_PROMPT_BIT = 0x40000000;
/** The lane has ended; `sample` sets it at a stop token. */
export const ENDED_BIT = 0x80000000;

/** One row of a call: a token of a sequence in a slot of the cache. */
export interface CallRow {
  readonly token: number;
  readonly slot: number;
  readonly position: number;
  /** Row of the strength table, with the flag bits. */
  readonly flags: number;
}

export function rowTable(rows: readonly CallRow[]): Uint32Array<ArrayBuffer> {
  const table = new Uint32Array(rows.length * 4);
  rows.forEach((row, index) => table.set([row.token, row.slot, row.position, row.flags >>> 0], index * 4));
  return table;
}
