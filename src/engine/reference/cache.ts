/**
 * Keys (after rotary embedding) and values of one sequence, for every layer: [positions, kvHeads * headDim] each. Room is made as
 * tokens come, so a short text in a long context costs little. Nothing outlives the request.
 */
export class KvCache {
  /** Positions appended so far: the position of the next token. */
  length = 0;
  private capacity = 0;
  private keys: Float32Array[];
  private values: Float32Array[];
  private readonly width: number;

  constructor(layers: number, width: number) {
    this.width = width;
    this.keys = Array.from({ length: layers }, () => new Float32Array(0));
    this.values = Array.from({ length: layers }, () => new Float32Array(0));
  }

  /** Makes room for positions up to `positions`. Doubling keeps the copying linear. */
  reserve(positions: number): void {
    if (positions <= this.capacity) return;
    this.capacity = Math.max(positions, this.capacity * 2);
    const grown = (old: Float32Array): Float32Array => {
      const data = new Float32Array(this.capacity * this.width);
      data.set(old);
      return data;
    };
    this.keys = this.keys.map(grown);
    this.values = this.values.map(grown);
  }

  keysOf(layer: number): Float32Array {
    return this.keys[layer];
  }

  valuesOf(layer: number): Float32Array {
    return this.values[layer];
  }

  /** Writes one position's row, found at `base` of k and v. */
  put(layer: number, position: number, k: Float32Array, v: Float32Array, base: number): void {
    this.keys[layer].set(k.subarray(base, base + this.width), position * this.width);
    this.values[layer].set(v.subarray(base, base + this.width), position * this.width);
  }
}
