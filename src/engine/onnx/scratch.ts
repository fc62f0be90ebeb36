/** Arrays between pieces, kept from call to call and grown when needed. */
export class Scratch {
  private readonly arrays = new Map<string, Float32Array>();

  /** Exactly `length` floats with whatever is in them; the same memory each time a name is asked for. */
  get(name: string, length: number): Float32Array {
    let array = this.arrays.get(name);
    if (!array || array.length < length) {
      array = new Float32Array(length);
      this.arrays.set(name, array);
    }
    return array.length === length ? array : array.subarray(0, length);
  }

  get bytes(): number {
    let sum = 0;
    for (const array of this.arrays.values()) sum += array.byteLength;
    return sum;
  }

  release(): void {
    this.arrays.clear();
  }
}
