import { TillerError } from '../errors/error.ts';

/**
 * The wire format of protocol buffers, read through ranges: messages of gigabytes are walked field by field and only what is asked
 * for is read. Lengths are checked against the message they lie in before they are used.
 */

/** Wire types: 0 varint, 1 eight bytes, 2 a length and so many bytes, 5 four bytes. Groups (3, 4) are long out of use. */
export type WireType = 0 | 1 | 2 | 5;

/** One field of a message: bytes [start, end) of the file are its content, without tag and length. */
export interface ProtoField {
  readonly number: number;
  readonly wire: WireType;
  readonly start: number;
  readonly end: number;
}

type Read = (start: number, end: number, signal?: AbortSignal) => Promise<Uint8Array>;

const WINDOW = 2 ** 18;
const LONGEST_VARINT = 10;

/** A varint at a place: its value modulo 2^64 as a signed number, as int64 fields mean it, and the place after it. */
function varintAt(bytes: Uint8Array, at: number, refuse: (problem: string) => never): { readonly value: number; readonly next: number } {
  let value = 0;
  let factor = 1;
  for (let i = 0; i < LONGEST_VARINT; i++) {
    if (at + i >= bytes.length) return refuse('a number is cut off');
    const byte = bytes[at + i];
    if (i < 7) value += (byte & 127) * factor;
    else return longVarint(bytes, at, refuse);
    if (byte < 128) return { value, next: at + i + 1 };
    factor *= 128;
  }
  return refuse('a number does not end');
}

/** Eight bytes and more: beyond 2^53 the last digits are lost. */
function longVarint(bytes: Uint8Array, at: number, refuse: (problem: string) => never): { readonly value: number; readonly next: number } {
  let value = 0n;
  for (let i = 0; i < LONGEST_VARINT; i++) {
    if (at + i >= bytes.length) return refuse('a number is cut off');
    const byte = bytes[at + i];
    value |= BigInt(byte & 127) << BigInt(7 * i);
    if (byte < 128) return { value: Number(BigInt.asIntN(64, value)), next: at + i + 1 };
  }
  return refuse('a number does not end');
}

/** A file in the wire format, read a window at a time. */
export class ProtoFile {
  readonly size: number;
  private window = new Uint8Array(0);
  private windowStart = 0;
  private readonly read: Read;
  private readonly file: string;
  private readonly signal: AbortSignal | undefined;

  /**
   * @param read bytes [start, end) of the file
   * @param file for messages
   */
  constructor(read: Read, size: number, file: string, signal?: AbortSignal) {
    this.read = read;
    this.size = size;
    this.file = file;
    this.signal = signal;
  }

  refuse(problem: string): never {
    throw new TillerError('model/file', { file: this.file, problem });
  }

  /** The fields of the message that is bytes [start, end), in order. @throws model/file */
  async *fields(start: number, end: number): AsyncGenerator<ProtoField> {
    let at = start;
    while (at < end) {
      const tag = await this.varint(at, end);
      const number = Math.floor(tag.value / 8);
      const wire = tag.value % 8;
      if (number < 1 || number > 536_870_911) this.refuse(`at byte ${at} there is no field of a message`);
      let from = tag.next;
      let to: number;
      if (wire === 0) to = (await this.varint(from, end)).next;
      else if (wire === 1) to = from + 8;
      else if (wire === 5) to = from + 4;
      else if (wire === 2) {
        const length = await this.varint(from, end);
        if (length.value < 0) this.refuse(`the field at byte ${at} has a length beyond all sizes`);
        from = length.next;
        to = from + length.value;
      } else return this.refuse(`the field at byte ${at} has the unknown wire type ${wire}`);
      if (to > end) this.refuse(`the field at byte ${at} ends at ${to}, after the message it is in (${end})`);
      yield { number, wire, start: from, end: to };
      at = to;
    }
  }

  /** A whole number: int64, int32, enum. Beyond 2^53 the last digits are lost. */
  async integer(field: ProtoField): Promise<number> {
    if (field.wire !== 0) this.refuse(`the field at byte ${field.start} is not a whole number`);
    return (await this.varint(field.start, field.end)).value;
  }

  async float(field: ProtoField): Promise<number> {
    if (field.wire !== 5) this.refuse(`the field at byte ${field.start} is not a float`);
    const bytes = await this.bytes(field, 4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);
  }

  async text(field: ProtoField, limit: number): Promise<string> {
    if (field.wire !== 2) this.refuse(`the field at byte ${field.start} is not a text`);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await this.bytes(field, limit));
    } catch (error) {
      if (error instanceof TillerError) throw error;
      return this.refuse(`the text at byte ${field.start} is not UTF-8`);
    }
  }

  /** Content of a field, refused above `limit` bytes. */
  async bytes({ start, end }: ProtoField, limit: number): Promise<Uint8Array> {
    if (end - start > limit) this.refuse(`the field at byte ${start} has ${end - start} bytes, the limit is ${limit}`);
    await this.need(start, end);
    return this.window.slice(start - this.windowStart, end - this.windowStart);
  }

  /** A repeated number: one, or many packed into one field. `limit` counts all of them. */
  async integers(field: ProtoField, into: number[], limit: number): Promise<void> {
    if (field.wire === 0) {
      into.push(await this.integer(field));
    } else if (field.wire === 2) {
      // A number takes at least a byte and at most ten.
      const bytes = await this.bytes(field, limit * LONGEST_VARINT);
      for (let at = 0; at < bytes.length && into.length <= limit;) {
        const { value, next } = varintAt(bytes, at, (problem) => this.refuse(problem));
        into.push(value);
        at = next;
      }
    } else this.refuse(`the field at byte ${field.start} holds no whole numbers`);
    if (into.length > limit) this.refuse(`the list at byte ${field.start} has more than ${limit} numbers`);
  }

  private async varint(at: number, end: number): Promise<{ readonly value: number; readonly next: number }> {
    const to = Math.min(end, at + LONGEST_VARINT);
    await this.need(at, to);
    const { value, next } = varintAt(this.window.subarray(at - this.windowStart, to - this.windowStart), 0, (problem) =>
      this.refuse(`at byte ${at}: ${problem}`),
    );
    return { value, next: at + next };
  }

  private async need(start: number, end: number): Promise<void> {
    if (start >= this.windowStart && end <= this.windowStart + this.window.length) return;
    if (end > this.size) this.refuse(`it ends at byte ${this.size}, expected ${end}`);
    const to = Math.min(this.size, Math.max(end, start + WINDOW));
    this.window = new Uint8Array(await this.read(start, to, this.signal));
    this.windowStart = start;
  }
}
