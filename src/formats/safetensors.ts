import { TillerError } from '../errors/error.ts';
import { bf16ToF32, f16ToF32 } from './float16.ts';
import { isRecord, readJson } from './json.ts';

/**
 * The safetensors format: 8 bytes little-endian header length, a JSON header, then the data of all tensors without gaps.
 * Everything that a header claims is checked against the file's size before it is used.
 */

/** Bytes per element of the dtypes that a header may name. */
const dtypeBytes: Readonly<Record<string, number>> = {
  BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1,
  I16: 2, U16: 2, F16: 2, BF16: 2,
  I32: 4, U32: 4, F32: 4,
  I64: 8, U64: 8, F64: 8,
}; // prettier-ignore

/** Length of the fixed prefix that gives the header's length. */
export const PREFIX_BYTES = 8;
/** The format's own limit on a header. */
export const MAX_HEADER_BYTES = 100_000_000;
const MAX_RANK = 32;

/** Where a tensor lies: bytes [start, end) of the file. */
export interface SafetensorsEntry {
  readonly dtype: string;
  readonly shape: number[];
  readonly start: number;
  readonly end: number;
}

function refuse(file: string, problem: string): never {
  throw new TillerError('model/file', { file, problem });
}

/** Length of the header, read from the file's first 8 bytes and checked against the file's size. */
export function headerLength(prefix: Uint8Array, fileSize: number, file: string): number {
  if (prefix.length < PREFIX_BYTES || fileSize < PREFIX_BYTES) refuse(file, `it has ${fileSize} bytes, too few for a safetensors file`);
  const view = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  if (length > MAX_HEADER_BYTES) refuse(file, `its header claims ${length} bytes, more than the format's ${MAX_HEADER_BYTES}`);
  if (PREFIX_BYTES + length > fileSize) refuse(file, `its header claims ${length} bytes, the file has ${fileSize}`);
  return length;
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

function parseEntry(name: string, value: unknown, dataStart: number, fileSize: number, file: string): SafetensorsEntry {
  const wrong = (problem: string): never => refuse(file, `tensor "${name.slice(0, 200)}" ${problem}`);
  if (!isRecord(value)) return wrong('is described by something other than an object');
  const { dtype, shape, data_offsets: offsets, ...rest } = value;
  const unknown = Object.keys(rest);
  if (unknown.length > 0) return wrong(`has the unknown key "${unknown[0].slice(0, 100)}"`);
  if (typeof dtype !== 'string') return wrong('has no dtype');
  if (!Object.hasOwn(dtypeBytes, dtype)) return wrong(`has the unknown dtype "${dtype.slice(0, 100)}"`);
  const bytes = dtypeBytes[dtype];
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every(isCount)) return wrong('has a shape that is not a list of counts');
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) return wrong('has data_offsets that are not two counts');
  const [begin, end] = offsets as [number, number];
  if (begin > end) return wrong(`ends at ${end}, before it starts at ${begin}`);
  if (dataStart + end > fileSize) return wrong(`ends at byte ${dataStart + end}, the file has ${fileSize}`);
  let size = bytes;
  for (const length of shape) {
    size *= length;
    if (!Number.isSafeInteger(size)) return wrong(`has a shape [${shape.join(', ')}] beyond all sizes`);
  }
  if (size !== end - begin) return wrong(`has ${end - begin} bytes, its shape [${shape.join(', ')}] of ${dtype} needs ${size}`);
  return { dtype, shape: [...shape], start: dataStart + begin, end: dataStart + end };
}

/**
 * Entries of a header, by name in the header's order, with offsets from the start of the file.
 * @param header the header's bytes, after the 8 bytes of its length
 * @param fileSize bytes of the whole file
 * @param file name for error messages
 */
export function parseSafetensorsHeader(header: Uint8Array, fileSize: number, file: string): Map<string, SafetensorsEntry> {
  if (header.length > MAX_HEADER_BYTES) refuse(file, `its header has ${header.length} bytes, more than the format's ${MAX_HEADER_BYTES}`);
  if (header[0] !== 0x7b) refuse(file, 'its header does not start with "{"');
  const json = readJson(header, 4);
  if ('problem' in json) return refuse(file, `in its header: ${json.problem}`);
  if (!isRecord(json.value)) return refuse(file, 'its header is not an object');
  const dataStart = PREFIX_BYTES + header.length;
  const entries = new Map<string, SafetensorsEntry>();
  for (const [name, value] of Object.entries(json.value)) {
    if (name === '__metadata__') {
      if (!isRecord(value) || !Object.values(value).every((entry) => typeof entry === 'string'))
        refuse(file, 'its __metadata__ is not a map of strings');
      continue;
    }
    entries.set(name, parseEntry(name, value, dataStart, fileSize, file));
  }
  checkCoverage(entries, dataStart, fileSize, file);
  return entries;
}

/** `__metadata__` of a header that `parseSafetensorsHeader` has accepted: a map of strings, or undefined. */
export function safetensorsMetadata(header: Uint8Array): unknown {
  const json = readJson(header, 4);
  return 'value' in json && isRecord(json.value) ? json.value.__metadata__ : undefined;
}

/** The format allows neither overlaps nor holes: either means that the header lies. */
function checkCoverage(entries: ReadonlyMap<string, SafetensorsEntry>, dataStart: number, fileSize: number, file: string): void {
  const inOrder = [...entries].sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  let at = dataStart;
  for (const [name, entry] of inOrder) {
    if (entry.start < at) refuse(file, `tensor "${name.slice(0, 200)}" overlaps the tensor before it`);
    if (entry.start > at) refuse(file, `there are ${entry.start - at} bytes of no tensor before "${name.slice(0, 200)}"`);
    at = entry.end;
  }
  if (at !== fileSize) refuse(file, `its tensors end at byte ${at}, the file has ${fileSize}`);
}

/** Entries of a whole file in memory; offsets are into `bytes`. */
export function parseSafetensors(bytes: Uint8Array, file: string): Map<string, SafetensorsEntry> {
  const length = headerLength(bytes, bytes.length, file);
  return parseSafetensorsHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length), bytes.length, file);
}

/** A copy with a buffer of its own. Not `slice`: that of Node's Buffer copies nothing. */
const copied = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

/** Elements of `bytes` in the dtype's own typed array; data in a file may lie at odd addresses, so it is copied where needed. */
function aligned(bytes: Uint8Array, elementBytes: number): ArrayBuffer {
  const whole = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  if (whole && bytes.byteLength % elementBytes === 0) return bytes.buffer;
  return copied(bytes).buffer;
}

/** Values of raw tensor bytes as f32. Integers beyond 2^24 round; F8 is not read. Throws model/file naming `file`. */
export function decodeF32(bytes: Uint8Array, dtype: string, file: string): Float32Array {
  const size = Object.hasOwn(dtypeBytes, dtype) ? dtypeBytes[dtype] : 0;
  if (size === 0 || bytes.length % size !== 0) refuse(file, `${bytes.length} bytes are not a whole number of ${dtype} values`);
  const data = aligned(bytes, size);
  switch (dtype) {
    case 'F32':
      return new Float32Array(data);
    case 'F16':
      return f16ToF32(new Uint16Array(data));
    case 'BF16':
      return bf16ToF32(new Uint16Array(data));
    case 'F64':
      return Float32Array.from(new Float64Array(data));
    case 'I32':
      return Float32Array.from(new Int32Array(data));
    case 'U32':
      return Float32Array.from(new Uint32Array(data));
    case 'I16':
      return Float32Array.from(new Int16Array(data));
    case 'U16':
      return Float32Array.from(new Uint16Array(data));
    case 'I8':
      return Float32Array.from(new Int8Array(data));
    case 'U8':
    case 'BOOL':
      return Float32Array.from(new Uint8Array(data));
    case 'I64':
      return Float32Array.from(new BigInt64Array(data), Number);
    case 'U64':
      return Float32Array.from(new BigUint64Array(data), Number);
    default:
      return refuse(file, `tensors of ${dtype} are not read`);
  }
}

/** Values of a tensor as f32, always a copy. `entry` comes from parseSafetensors of the same bytes. */
export function tensorF32(bytes: Uint8Array, entry: Pick<SafetensorsEntry, 'dtype' | 'start' | 'end'>): Float32Array {
  return decodeF32(copied(bytes.subarray(entry.start, entry.end)), entry.dtype, 'safetensors');
}

/** The start of a file: length, header and padding to a multiple of 8. Tensor data follows in the given order. */
export function safetensorsHeader(
  tensors: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const header = Object.create(null) as Record<string, unknown>;
  if (metadata) header['__metadata__'] = metadata;
  let at = 0;
  for (const { name, dtype, shape } of tensors) {
    if (name === '__metadata__' || Object.hasOwn(header, name))
      throw new TillerError('internal', { problem: `tensor "${name}" is written twice` });
    const end = at + shape.reduce((product, length) => product * length, dtypeBytes[dtype]);
    header[name] = { dtype, shape, data_offsets: [at, end] };
    at = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(text.length / 8) * 8;
  const out = new Uint8Array(PREFIX_BYTES + length).fill(0x20);
  new DataView(out.buffer).setBigUint64(0, BigInt(length), true);
  out.set(text, PREFIX_BYTES);
  return out;
}

/** A whole file of f32 and i32 tensors, in the given order. */
export function writeSafetensors(
  tensors: readonly { readonly name: string; readonly shape: readonly number[]; readonly data: Float32Array | Int32Array }[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  for (const { name, shape, data } of tensors) {
    const needed = shape.reduce((product, length) => product * length, 1);
    if (needed !== data.length)
      throw new TillerError('internal', { problem: `tensor "${name}" has ${data.length} values for the shape [${shape.join(', ')}]` });
  }
  const header = safetensorsHeader(
    tensors.map(({ name, shape, data }) => ({ name, shape, dtype: data instanceof Float32Array ? 'F32' : 'I32' })),
    metadata,
  );
  const out = new Uint8Array(tensors.reduce((sum, { data }) => sum + data.byteLength, header.length));
  out.set(header);
  let at = header.length;
  for (const { data } of tensors) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return out;
}
