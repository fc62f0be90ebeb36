import { TillerError } from '../../errors/error.ts';
import type { ModelSpec } from '../../model/spec.ts';

/** Keys (after rotary embedding) and values of one layer of one slot, [capacity, kvHeads * headDim] each. */
export interface LayerCache {
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

/** What the first positions of a slot were computed from. */
interface Entry {
  readonly tokens: readonly number[];
  /** Leading positions that no edit touched: only these may serve another request. */
  readonly clean: number;
}

export function cacheBytesPerToken(spec: ModelSpec): number {
  return 2 * 4 * spec.layers * spec.kvHeads * spec.headDim;
}

/** Keys and values of all layers, one slot for each sequence that runs at a time. Positions lie one after another, so that any run of them is a view. */
export class KvCache {
  private slots: LayerCache[][] = [];
  private entries: (Entry | null)[] = [];
  private capacity = 0;

  constructor(private readonly spec: ModelSpec) {}

  get bytes(): number {
    return this.slots.length * this.capacity * cacheBytesPerToken(this.spec);
  }

  /** Makes room. A longer capacity forgets what was kept. Throws device/out-of-memory. */
  ensure(slots: number, capacity: number): void {
    const wanted = Math.ceil(capacity / 64) * 64;
    if (wanted > this.capacity) {
      this.slots = [];
      this.entries = [];
      this.capacity = wanted;
    }
    while (this.slots.length < slots) {
      this.slots.push(this.makeSlot());
      this.entries.push(null);
    }
  }

  private makeSlot(): LayerCache[] {
    const { layers, kvHeads, headDim } = this.spec;
    const make = (): Float32Array => new Float32Array(this.capacity * kvHeads * headDim);
    try {
      return Array.from({ length: layers }, () => ({ keys: make(), values: make() }));
    } catch (cause) {
      const needed = `${Math.round((this.capacity * cacheBytesPerToken(this.spec)) / 2 ** 20)} MiB`;
      throw new TillerError('device/out-of-memory', { what: 'the cache of keys and values', needed }, { cause });
    }
  }

  layer(slot: number, layer: number): LayerCache {
    return this.slots[slot][layer];
  }

  /** Copies positions [0, count) of a slot to another, in every layer. */
  copy(from: number, to: number, count: number): void {
    const length = count * this.spec.kvHeads * this.spec.headDim;
    this.slots[from].forEach((source, layer) => {
      const target = this.slots[to][layer];
      target.keys.set(source.keys.subarray(0, length));
      target.values.set(source.values.subarray(0, length));
    });
  }

  /** Nothing in any slot may be used again until `keep` says what is there. */
  forgetAll(): void {
    this.entries.fill(null);
  }

  keep(slot: number, tokens: readonly number[], clean: number): void {
    this.entries[slot] = { tokens, clean };
  }

  /** Longest untouched prefix of `tokens`, at most `limit` positions, in any slot. */
  findClean(tokens: readonly number[], limit: number): { readonly slot: number; readonly length: number } {
    let best = { slot: 0, length: 0 };
    this.entries.forEach((entry, slot) => {
      if (!entry) return;
      const most = Math.min(entry.clean, limit, entry.tokens.length, tokens.length);
      let length = 0;
      while (length < most && entry.tokens[length] === tokens[length]) length++;
      if (length > best.length) best = { slot, length };
    });
    return best;
  }

  release(): void {
    this.slots = [];
    this.entries = [];
    this.capacity = 0;
  }
}
