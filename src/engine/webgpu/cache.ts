import type { ModelSpec } from '../../model/spec.ts';
import type { SlotCopy } from '../prefix-calls.ts';
import type { Dispatch } from './dispatch.ts';
import type { Memory } from './memory.ts';
import type { Params } from './params.ts';

export type CacheFormat = 'f32' | 'f16';

export const headQuads = (spec: ModelSpec): number => Math.ceil(spec.headDim / 4);
const quadBytes: Readonly<Record<CacheFormat, number>> = { f32: 16, f16: 8 };

/** Bytes of keys and values that one token takes over all layers. */
export function cacheBytesPerToken(spec: ModelSpec, format: CacheFormat): number {
  return 2 * spec.layers * spec.kvHeads * headQuads(spec) * quadBytes[format];
}

/**
 * What the first positions of a slot were computed from. An entry serves a new request only as far as its tokens agree and
 * no edit touched them. Touched positions are never used again, not even for the same graph: every result counts the edits
 * that made it, and a reused position would have none.
 */
export interface CacheEntry {
  readonly tokens: readonly number[];
  /** Leading positions that no edit touched. */
  readonly clean: number;
}

const commonPrefix = (a: readonly number[], b: readonly number[]): number => {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at += 1;
  return at;
};

/** Bytes up to which a cache that grows keeps what it has room for. */
const KEPT_BYTES = 256 * 1048576;

const roundCapacity = (positions: number): number => Math.ceil(positions / 64) * 64;

/** Keys and values of all layers, [slots, capacity, kv_heads, quads]; one slot for each sequence of a batch. */
export class KvCache {
  private buffers: { readonly keys: GPUBuffer; readonly values: GPUBuffer }[] = [];
  private entries: (CacheEntry | null)[] = [];
  private copies: GPUBuffer | null = null;
  slots = 0;
  capacity = 0;

  constructor(
    private readonly memory: Memory,
    private readonly spec: ModelSpec,
    readonly format: CacheFormat,
    private readonly replaced: () => void,
  ) {}

  /** Bytes of a cache of this size. */
  bytesOf(slots: number, capacity: number): number {
    return slots * roundCapacity(capacity) * cacheBytesPerToken(this.spec, this.format);
  }

  /** Slots of this capacity that `bytes` pay for, and that one layer's buffer has room for. */
  slotsWithin(bytes: number, capacity: number): number {
    const perLayer = (roundCapacity(capacity) * cacheBytesPerToken(this.spec, this.format)) / (2 * this.spec.layers);
    return Math.floor(Math.min(bytes / this.bytesOf(1, capacity), this.memory.bindingLimit / perLayer));
  }

  /**
   * Makes room. Growing forgets what was kept; it keeps the larger of both measures as long as that takes no more than KEPT_BYTES, so that a
   * few long contexts after many short ones do not ask for many long ones. Throws device/limits.
   */
  ensure(slots: number, capacity: number): void {
    if (slots <= this.slots && capacity <= this.capacity) return;
    const both = { slots: Math.max(slots, this.slots), capacity: Math.max(roundCapacity(capacity), this.capacity) };
    const wanted = this.bytesOf(both.slots, both.capacity) <= KEPT_BYTES ? both : { slots, capacity: roundCapacity(capacity) };
    this.release();
    this.slots = wanted.slots;
    this.capacity = wanted.capacity;
    const bytes = this.bytes / (2 * this.spec.layers);
    for (let layer = 0; layer < this.spec.layers; layer += 1) {
      this.buffers.push({ keys: this.memory.storage('keys', bytes), values: this.memory.storage('values', bytes) });
    }
    this.entries = Array.from({ length: this.slots }, () => null);
  }

  layer(layer: number): { readonly keys: GPUBuffer; readonly values: GPUBuffer } {
    return this.buffers[layer];
  }

  get bytes(): number {
    return this.slots * this.capacity * cacheBytesPerToken(this.spec, this.format);
  }

  release(): void {
    for (const { keys, values } of this.buffers) {
      this.memory.free(keys);
      this.memory.free(values);
    }
    if (this.buffers.length > 0) this.replaced();
    this.buffers = [];
    this.entries = [];
    this.slots = 0;
    this.capacity = 0;
  }

  /** Nothing in the slot may be used again until `keep` says what is there. */
  forget(slot: number): void {
    this.entries[slot] = null;
  }

  forgetAll(): void {
    this.entries.fill(null);
  }

  keep(slot: number, entry: CacheEntry): void {
    this.entries[slot] = entry;
  }

  /** Longest untouched prefix of `tokens`, at most `limit` positions, in any slot. */
  findClean(tokens: readonly number[], limit: number): { readonly slot: number; readonly length: number } {
    let best = { slot: 0, length: 0 };
    this.entries.forEach((entry, slot) => {
      if (!entry) return;
      const length = Math.min(commonPrefix(entry.tokens, tokens), entry.clean, limit);
      if (length > best.length) best = { slot, length };
    });
    return best;
  }

  /** Leading positions of slots, copied to other slots in every layer. The list is written at once, so it holds for the next submit only. */
  copy(params: Params, copies: readonly SlotCopy[]): Dispatch[] {
    if (copies.length === 0) return [];
    const bytes = copies.length * 16;
    if (!this.copies || this.copies.size < bytes) {
      if (this.copies) {
        this.memory.free(this.copies);
        this.replaced();
      }
      this.copies = this.memory.storage('slot copies', Math.max(1024, 2 * bytes));
    }
    const list = this.copies;
    this.memory.device.queue.writeBuffer(list, 0, new Uint32Array(copies.flatMap(({ from, to, positions }) => [from, to, positions, 0])));
    const perPosition = this.spec.kvHeads * headQuads(this.spec);
    const elements = copies.map(({ positions }) => positions * perPosition);
    const groups = Math.max(1, Math.min(256, Math.ceil(Math.max(...elements) / 256)));
    return this.buffers.flatMap(({ keys, values }) =>
      [keys, values].map((buffer) => ({
        variant: { shader: 'cache_copy', includes: { kv: `kv_${this.format}` } },
        bindings: [params.get([this.capacity * perPosition, perPosition, 0, 0]), { buffer: list }, { buffer }],
        workgroups: [groups, copies.length, 1] as const,
        cost: elements.reduce((sum, count) => sum + count, 0),
      })),
    );
  }
}
