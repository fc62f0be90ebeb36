import { TillerError } from '../errors/error.ts';

/**
 * The GGUF container, versions 2 and 3, little-endian: magic, counts, metadata, tensor descriptions, then tensor data at aligned
 * offsets. What keys and tensors mean is no business of this file. Every count and length is checked against the bytes that are
 * left before anything is made from it.
 */

const MAGIC = 0x46554747;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 65_536;
const MAX_DIMENSIONS = 4;
const MAX_NESTING = 4;
const MAX_NAME = 65_535;

/** Numbers beyond 2^53 stay bigint. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];

/** Where a tensor lies: bytes [start, end) of the file. */
export interface GgufTensor {
  readonly type: GgufType;
  /** In the file's order: the first dimension is the contiguous one. */
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

export interface GgufHeader {
  readonly version: number;
  readonly alignment: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Tensor types: elements and bytes of a block. */
export const ggufTypes = {
  F32: { id: 0, block: 1, bytes: 4 },
  F16: { id: 1, block: 1, bytes: 2 },
  Q4_0: { id: 2, block: 32, bytes: 18 },
  Q4_1: { id: 3, block: 32, bytes: 20 },
  Q5_0: { id: 6, block: 32, bytes: 22 },
  Q5_1: { id: 7, block: 32, bytes: 24 },
  Q8_0: { id: 8, block: 32, bytes: 34 },
  Q8_1: { id: 9, block: 32, bytes: 36 },
  Q2_K: { id: 10, block: 256, bytes: 84 },
  Q3_K: { id: 11, block: 256, bytes: 110 },
  Q4_K: { id: 12, block: 256, bytes: 144 },
  Q5_K: { id: 13, block: 256, bytes: 176 },
  Q6_K: { id: 14, block: 256, bytes: 210 },
  Q8_K: { id: 15, block: 256, bytes: 292 },
  IQ2_XXS: { id: 16, block: 256, bytes: 66 },
  IQ2_XS: { id: 17, block: 256, bytes: 74 },
  IQ3_XXS: { id: 18, block: 256, bytes: 98 },
  IQ1_S: { id: 19, block: 256, bytes: 50 },
  IQ4_NL: { id: 20, block: 32, bytes: 18 },
  IQ3_S: { id: 21, block: 256, bytes: 110 },
  IQ2_S: { id: 22, block: 256, bytes: 82 },
  IQ4_XS: { id: 23, block: 256, bytes: 136 },
  I8: { id: 24, block: 1, bytes: 1 },
  I16: { id: 25, block: 1, bytes: 2 },
  I32: { id: 26, block: 1, bytes: 4 },
  I64: { id: 27, block: 1, bytes: 8 },
  F64: { id: 28, block: 1, bytes: 8 },
  IQ1_M: { id: 29, block: 256, bytes: 56 },
  BF16: { id: 30, block: 1, bytes: 2 },
  TQ1_0: { id: 34, block: 256, bytes: 54 },
  TQ2_0: { id: 35, block: 256, bytes: 66 },
  MXFP4: { id: 39, block: 32, bytes: 17 },
} as const;
export type GgufType = keyof typeof ggufTypes;
const typeNames = new Map<number, GgufType>(Object.entries(ggufTypes).map(([name, { id }]) => [id, name as GgufType]));

/** Metadata value types by number, with the bytes one value takes at least. */
const valueTypes = ['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'bool', 'string', 'array', 'u64', 'i64', 'f64'] as const;
type ValueType = (typeof valueTypes)[number];
const leastBytes: Readonly<Record<ValueType, number>> = {
  u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, bool: 1, string: 8, array: 12, u64: 8, i64: 8, f64: 8,
}; // prettier-ignore

/** The header goes on after the bytes at hand. */
class HeaderContinues extends Error {}

class Reader {
  at = 0;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly fileSize: number;
  private readonly file: string;

  constructor(bytes: Uint8Array, fileSize: number, file: string) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.bytes = bytes;
    this.fileSize = fileSize;
    this.file = file;
  }

  refuse(problem: string): never {
    throw new TillerError('model/file', { file: this.file, problem });
  }

  get left(): number {
    return this.fileSize - this.at;
  }

  /** Position of the next `count` bytes, which are then behind. */
  private take(count: number, what: string): number {
    if (count > this.left) this.refuse(`it ends at byte ${this.fileSize}, within ${what}`);
    if (this.at + count > this.bytes.length) throw new HeaderContinues();
    const start = this.at;
    this.at += count;
    return start;
  }

  u32(what: string): number {
    return this.view.getUint32(this.take(4, what), true);
  }

  private u64(what: string): bigint {
    return this.view.getBigUint64(this.take(8, what), true);
  }

  /** A count of things that take at least `least` bytes each. */
  count(what: string, least: number): number {
    const value = this.u64(what);
    if (value > BigInt(Math.floor(this.left / least))) this.refuse(`${what} is ${value}, more than its ${this.fileSize} bytes can hold`);
    return Number(value);
  }

  size(what: string): number {
    const value = this.u64(what);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) this.refuse(`${what} is ${value}`);
    return Number(value);
  }

  string(what: string, most = Infinity): string {
    const length = this.count(`the length of ${what}`, 1);
    if (length > most) this.refuse(`${what} has ${length} bytes, at most ${most} are allowed`);
    const start = this.take(length, what);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes.subarray(start, start + length));
    } catch {
      return this.refuse(`${what} is not UTF-8 text`);
    }
  }

  valueType(what: string): ValueType {
    const id = this.u32(what);
    if (id >= valueTypes.length) this.refuse(`${what} has the unknown type ${id}`);
    return valueTypes[id];
  }

  value(type: ValueType, what: string, depth = 0): GgufValue {
    switch (type) {
      case 'string':
        return this.string(what);
      case 'array':
        return this.array(what, depth);
      case 'u64':
      case 'i64':
        return this.long(type, what);
      default:
        return this.scalar(type, this.take(leastBytes[type], what), what);
    }
  }

  private scalar(type: Exclude<ValueType, 'string' | 'array' | 'u64' | 'i64'>, start: number, what: string): GgufValue {
    const { view } = this;
    switch (type) {
      case 'u8':
        return view.getUint8(start);
      case 'i8':
        return view.getInt8(start);
      case 'u16':
        return view.getUint16(start, true);
      case 'i16':
        return view.getInt16(start, true);
      case 'u32':
        return view.getUint32(start, true);
      case 'i32':
        return view.getInt32(start, true);
      case 'f32':
        return view.getFloat32(start, true);
      case 'f64':
        return view.getFloat64(start, true);
      case 'bool': {
        const value = view.getUint8(start);
        if (value > 1) this.refuse(`${what} is neither true nor false but ${value}`);
        return value === 1;
      }
    }
  }

  private long(type: 'u64' | 'i64', what: string): number | bigint {
    const start = this.take(8, what);
    const value = type === 'u64' ? this.view.getBigUint64(start, true) : this.view.getBigInt64(start, true);
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }

  private array(what: string, depth: number): GgufValue[] {
    if (depth >= MAX_NESTING) this.refuse(`${what} is nested deeper than ${MAX_NESTING} lists`);
    const type = this.valueType(what);
    const count = this.count(`the length of ${what}`, leastBytes[type]);
    const values: GgufValue[] = [];
    for (let i = 0; i < count; i++) values.push(this.value(type, what, depth + 1));
    return values;
  }
}

/**
 * The header of a GGUF file.
 * @param prefix the first bytes of the file
 * @param fileSize bytes of the whole file
 * @param file name for error messages
 * @returns null where the header goes on after `prefix`: read more and try again
 * @throws model/file where anything in it is not so
 */
export function parseGgufHeader(prefix: Uint8Array, fileSize: number, file: string): GgufHeader | null {
  const reader = new Reader(prefix, fileSize, file);
  try {
    return parseHeader(reader, fileSize);
  } catch (error) {
    if (error instanceof HeaderContinues) return null;
    throw error;
  }
}

/** The header of a whole file in memory. @throws model/file */
export function parseGguf(bytes: Uint8Array, file: string): GgufHeader {
  const header = parseGgufHeader(bytes, bytes.length, file);
  if (!header) throw new TillerError('model/file', { file, problem: 'its header does not end' });
  return header;
}

function parseHeader(reader: Reader, fileSize: number): GgufHeader {
  if (fileSize < 24) reader.refuse(`it has ${fileSize} bytes, too few for a GGUF file`);
  if (reader.u32('the magic') !== MAGIC) reader.refuse('it does not begin with "GGUF"');
  const version = reader.u32('the version');
  if (version !== 0 && (version & 0xffff) === 0) reader.refuse('it is big-endian, which is not read');
  if (version !== 2 && version !== 3) reader.refuse(`it is of GGUF version ${version}; 2 and 3 are read`);
  const tensorCount = reader.count('the number of tensors', 24);
  const keyCount = reader.count('the number of keys', 13);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < keyCount; i++) {
    const key = reader.string('a key', MAX_NAME);
    const what = `the key "${key.slice(0, 100)}"`;
    if (metadata.has(key)) reader.refuse(`${what} appears twice`);
    metadata.set(key, reader.value(reader.valueType(what), what));
  }
  const alignment = alignmentOf(metadata, reader);
  const described = new Map<string, { type: GgufType; shape: number[]; offset: number; bytes: number }>();
  for (let i = 0; i < tensorCount; i++) {
    const name = reader.string('the name of a tensor', MAX_NAME);
    if (described.has(name)) reader.refuse(`the tensor "${name.slice(0, 100)}" appears twice`);
    described.set(name, tensorInfo(reader, `the tensor "${name.slice(0, 100)}"`, alignment));
  }
  const dataStart = Math.ceil(reader.at / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const [name, { type, shape, offset, bytes }] of described) {
    const start = dataStart + offset;
    if (start + bytes > fileSize)
      reader.refuse(`the tensor "${name.slice(0, 100)}" ends at byte ${start + bytes}, the file has ${fileSize}`);
    tensors.set(name, { type, shape, start, end: start + bytes });
  }
  checkOverlap(tensors, reader);
  return { version, alignment, metadata, tensors };
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, reader: Reader): number {
  const value = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 8 || value > MAX_ALIGNMENT || value % 8 !== 0)
    reader.refuse(`general.alignment is ${String(value).slice(0, 100)}, not a multiple of 8 up to ${MAX_ALIGNMENT}`);
  return value;
}

function tensorInfo(reader: Reader, what: string, alignment: number): { type: GgufType; shape: number[]; offset: number; bytes: number } {
  const dimensions = reader.u32(what);
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) reader.refuse(`${what} has ${dimensions} dimensions`);
  const shape: number[] = [];
  let elements = 1;
  for (let i = 0; i < dimensions; i++) {
    const size = reader.size(`a dimension of ${what}`);
    elements *= size;
    if (!Number.isSafeInteger(elements)) reader.refuse(`${what} has a shape beyond all sizes`);
    shape.push(size);
  }
  const id = reader.u32(what);
  const type = typeNames.get(id);
  if (type === undefined) return reader.refuse(`${what} is of the unknown type ${id}`);
  const { block, bytes } = ggufTypes[type];
  if (shape[0] % block !== 0) reader.refuse(`${what} has rows of ${shape[0]} elements, ${type} needs a multiple of ${block}`);
  const offset = reader.size(`the offset of ${what}`);
  if (offset % alignment !== 0) reader.refuse(`${what} lies at ${offset}, not at a multiple of ${alignment}`);
  return { type, shape, offset, bytes: (elements / block) * bytes };
}

function checkOverlap(tensors: ReadonlyMap<string, GgufTensor>, reader: Reader): void {
  let at = 0;
  for (const [name, { start, end }] of [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end)) {
    if (start < at) reader.refuse(`the tensor "${name.slice(0, 100)}" overlaps another one`);
    at = end;
  }
}

/** What may be written as metadata. */
export type GgufField = { readonly type: 'string'; readonly value: string } | { readonly type: 'u32'; readonly value: number };

/** A whole version 3 file of F32 tensors, in the given order. Names and keys must be unique. */
export function writeGguf(
  metadata: Readonly<Record<string, GgufField>>,
  tensors: readonly { readonly name: string; readonly shape: readonly number[]; readonly data: Float32Array }[],
): Uint8Array {
  const parts: Uint8Array[] = [];
  const number = (value: number, bytes: 4 | 8): void => {
    const out = new Uint8Array(bytes);
    const view = new DataView(out.buffer);
    if (bytes === 4) view.setUint32(0, value, true);
    else view.setBigUint64(0, BigInt(value), true);
    parts.push(out);
  };
  const string = (text: string): void => {
    const bytes = new TextEncoder().encode(text);
    number(bytes.length, 8);
    parts.push(bytes);
  };
  number(MAGIC, 4);
  number(3, 4);
  number(tensors.length, 8);
  number(Object.keys(metadata).length, 8);
  for (const [key, field] of Object.entries(metadata)) {
    string(key);
    number(valueTypes.indexOf(field.type), 4);
    if (field.type === 'string') string(field.value);
    else number(field.value, 4);
  }
  const padded = (bytes: number): number => Math.ceil(bytes / DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT;
  let offset = 0;
  for (const { name, shape, data } of tensors) {
    const needed = shape.reduce((product, size) => product * size, 1);
    if (needed !== data.length)
      throw new TillerError('internal', { problem: `tensor "${name}" has ${data.length} values for the shape [${shape.join(', ')}]` });
    string(name);
    number(shape.length, 4);
    for (const size of shape) number(size, 8);
    number(ggufTypes.F32.id, 4);
    number(offset, 8);
    offset += padded(data.byteLength);
  }
  const header = parts.reduce((sum, part) => sum + part.length, 0);
  const out = new Uint8Array(padded(header) + offset);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  at = padded(header);
  for (const { data } of tensors) {
    // The format is little-endian, as is every machine that runs this.
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += padded(data.byteLength);
  }
  return out;
}
