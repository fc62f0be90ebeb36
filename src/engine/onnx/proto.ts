/**
 * Writes protocol buffers: only what a ModelProto needs, which is varints, 32-bit floats, strings, bytes and messages. Weights are
 * copied once, into the finished message.
 */

/** A message in pieces, with the bytes it will take. */
export class ProtoMessage {
  private readonly parts: Uint8Array[] = [];
  length = 0;

  /** int32, int64, enum. Values are whole and at least -1. */
  int(field: number, value: number): this {
    return this.push(varint(field * 8)).push(value < 0 ? minusOne : varint(value));
  }

  /** Packed repeated int64. */
  ints(field: number, values: readonly number[]): this {
    const packed = new ProtoMessage();
    for (const value of values) packed.push(value < 0 ? minusOne : varint(value));
    return this.message(field, packed);
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.push(varint(field * 8 + 5)).push(bytes);
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  bytes(field: number, value: Uint8Array): this {
    return this.push(varint(field * 8 + 2))
      .push(varint(value.length))
      .push(value);
  }

  message(field: number, value: ProtoMessage): this {
    this.push(varint(field * 8 + 2)).push(varint(value.length));
    for (const part of value.parts) this.push(part);
    return this;
  }

  /** The fields of another message, after those that are there. */
  append(value: ProtoMessage): this {
    for (const part of value.parts) this.push(part);
    return this;
  }

  /** The whole message in one array. */
  finish(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  private push(part: Uint8Array): this {
    this.parts.push(part);
    this.length += part.length;
    return this;
  }
}

/** Seven bits a byte, lowest first. Exact up to 2^53. */
function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  while (rest >= 128) {
    out.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
  return Uint8Array.from(out);
}

/** -1 as a 64-bit two's complement varint. */
const minusOne = Uint8Array.from([255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
