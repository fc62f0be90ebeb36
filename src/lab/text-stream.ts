/** Turns token ids into text as they come: a character whose bytes are spread over tokens appears with its last one. */
export class TextStream {
  #ids: number[];
  #settled: number;
  #read: number;
  readonly #decode: (ids: readonly number[]) => string;

  /** @param context ids before the stream (the prompt), so that leading spaces come out right */
  constructor(decode: (ids: readonly number[]) => string, context: readonly number[] = []) {
    this.#decode = decode;
    this.#ids = context.slice(-8);
    this.#settled = 0;
    this.#read = this.#ids.length;
  }

  /** The text that this token adds; empty while a character is incomplete. */
  push(id: number): string {
    this.#ids.push(id);
    const before = this.#decode(this.#ids.slice(this.#settled, this.#read));
    const after = this.#decode(this.#ids.slice(this.#settled));
    if (after.endsWith('\uFFFD') && this.#ids.length - this.#read < 8) return '';
    this.#settled = this.#read;
    this.#read = this.#ids.length;
    const text = after.slice(before.length);
    if (this.#settled > 64) {
      this.#ids = this.#ids.slice(this.#settled);
      this.#read -= this.#settled;
      this.#settled = 0;
    }
    return text;
  }
}
