/**
 * Messages with large arrays, cut for a channel that copies what it is given: a message that is sent whole is held three times over on either side
 * while it travels, one in pieces once and a little. Pieces of different messages do not mix.
 */
export type Part =
  | { readonly part: 'whole'; readonly message: unknown }
  /** A message whose arrays come after it; where one was lies its number in a BigUint64Array, which no message of ours has otherwise. */
  | { readonly part: 'head'; readonly message: unknown; readonly lengths: readonly number[] }
  /** The next bytes of the arrays, one after the other. */
  | { readonly part: 'piece'; readonly bytes: Uint8Array };

/** Bytes of arrays in a message from which it is cut, and of one piece. */
const PIECE = 2 ** 20;

/** A message as it is sent: itself where it is small. Pieces are made when they are asked for. */
export function* cut(message: unknown): Generator<Part, void, void> {
  // An array that is in a message twice travels once.
  const numbers = new Map<Float32Array, number>();
  const hollow = replaceArrays(message, (array) => {
    const number = numbers.get(array) ?? numbers.size;
    numbers.set(array, number);
    return BigUint64Array.of(BigInt(number));
  });
  const arrays = [...numbers.keys()];
  const total = arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (total < PIECE) {
    yield { part: 'whole', message };
    return;
  }
  yield { part: 'head', message: hollow, lengths: arrays.map(({ length }) => length) };
  let piece = new Uint8Array(Math.min(PIECE, total));
  let filled = 0;
  let left = total;
  for (const array of arrays) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + piece.length - filled);
      piece.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < piece.length) continue;
      yield { part: 'piece', bytes: piece };
      left -= filled;
      filled = 0;
      piece = new Uint8Array(Math.min(PIECE, left));
    }
  }
}

/** A copy of what leads to arrays, with others in their places; everything else is shared. */
function replaceArrays(value: unknown, other: (array: Float32Array) => unknown): unknown {
  if (value instanceof Float32Array) return other(value);
  if (Array.isArray(value)) return value.map((inner) => replaceArrays(inner, other));
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, replaceArrays(inner, other)]));
}

/** Puts parts together again, in the order in which they were cut. */
export class Joiner {
  #message: unknown = null;
  #arrays: Float32Array[] = [];
  /** Array that is filled, and how many of its bytes are. */
  #next = 0;
  #at = 0;

  /** @param deliver gets a message when its last part is here */
  constructor(private readonly deliver: (message: unknown) => void) {}

  take(part: Part): void {
    if (part.part === 'whole') return this.deliver(part.message);
    if (part.part === 'head') {
      this.#message = part.message;
      this.#arrays = part.lengths.map((length) => new Float32Array(length));
      this.#next = 0;
      this.#at = 0;
      return;
    }
    this.#fill(part.bytes);
    if (this.#next < this.#arrays.length) return;
    const message = this.#message;
    const arrays = this.#arrays;
    this.#message = null;
    this.#arrays = [];
    this.deliver(withArrays(message, arrays));
  }

  #fill(bytes: Uint8Array): void {
    for (let from = 0; this.#next < this.#arrays.length;) {
      const { buffer, byteLength } = this.#arrays[this.#next];
      const part = bytes.subarray(from, from + byteLength - this.#at);
      new Uint8Array(buffer, this.#at, part.length).set(part);
      from += part.length;
      this.#at += part.length;
      if (this.#at < byteLength) return;
      this.#next += 1;
      this.#at = 0;
    }
  }
}

function withArrays(value: unknown, arrays: readonly Float32Array[]): unknown {
  if (value instanceof BigUint64Array) return arrays[Number(value[0])];
  if (Array.isArray(value)) return value.map((inner) => withArrays(inner, arrays));
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withArrays(inner, arrays)]));
}

/** Sends messages in their order, a cut one piece by piece: the next is made when the channel has taken the last. */
export class PieceSender {
  readonly #waiting: unknown[] = [];
  #sending = false;

  /** @param send calls back when the channel has taken a part, or cannot */
  constructor(private readonly send: (part: Part, taken: (error: Error | null) => void) => void) {}

  post(message: unknown): void {
    this.#waiting.push(message);
    if (!this.#sending) this.#next();
  }

  #next(): void {
    const message = this.#waiting.shift();
    this.#sending = message !== undefined;
    if (message !== undefined) this.#parts(cut(message));
  }

  #parts(parts: Iterator<Part>): void {
    const part = parts.next();
    if (part.done) return this.#next();
    this.send(part.value, (error) => {
      // What cannot be sent has nobody to hear it.
      if (error) this.#next();
      else this.#parts(parts);
    });
  }
}
