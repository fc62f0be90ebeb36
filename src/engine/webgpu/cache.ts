import type { ModelSpec } from '../../model/spec.ts';
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

/** Keys and values of all layers, [slots, capacity, kv_heads, quads]; one slot for each sequence of a batch. */
export class KvCache {
  private buffers: { readonly keys: GPUBuffer; readonly values: GPUBuffer }[] = [];
  private entries: (CacheEntry | null)[] = [];
  slots = 0;
  capacity = 0;

  constructor(
    private readonly memory: Memory,
    private readonly spec: ModelSpec,
    readonly format: CacheFormat,
    private readonly replaced: () => void,
  ) {}

  /** Makes room. Growing forgets what was kept. Throws device/limits. */
  ensure(slots: number, capacity: number): void {
    if (slots <= this.slots && capacity <= this.capacity) return;
    const wantedSlots = Math.max(slots, this.slots);
    const wantedCapacity = Math.max(Math.ceil(capacity / 64) * 64, this.capacity);
    this.release();
    this.slots = wantedSlots;
    this.capacity = wantedCapacity;
    const bytes = this.slots * this.capacity * this.spec.kvHeads * headQuads(this.spec) * quadBytes[this.format];
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

  /** Copies positions [0, count) of a slot to another, in every layer. */
  copy(params: Params, from: number, to: number, count: number): Dispatch[] {
    const perPosition = this.spec.kvHeads * headQuads(this.spec);
    const elements = count * perPosition;
    const groups = Math.max(1, Math.min(1024, Math.ceil(elements / 64)));
    const stride = this.capacity * perPosition;
    return this.buffers.flatMap(({ keys, values }) =>
      [keys, values].map((buffer) => ({
        variant: { shader: 'cache_copy', includes: { kv: `kv_${this.format}` } },
        bindings: [params.get([from * stride, to * stride, elements, groups * 64]), { buffer }],
        workgroups: [groups, 1, 1] as const,
        cost: elements,
      })),
    );
  }
}
