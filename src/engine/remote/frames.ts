import { TillerError } from '../../errors/error.ts';
import { readJson } from '../../formats/json.ts';
import type { LoadProgress } from '../engine.ts';
import type { ErrorData } from '../../errors/error.ts';
import { arrayLengths, pack, unpack } from './values.ts';

/**
 * Answers that take long or are large come as frames: one byte for the kind (0 JSON, 1 bytes), four for the length, little-endian, then
 * the content. JSON frames are messages; after a `result` the bytes of its arrays follow, cut into frames, and an `end`. A stream that ends without
 * `end` or `error` was cut.
 */
export type FrameMessage =
  | { readonly type: 'beat' }
  | { readonly type: 'queued'; readonly position: number }
  | { readonly type: 'progress'; readonly done: number; readonly total: number }
  | { readonly type: 'loading'; readonly progress: LoadProgress }
  | { readonly type: 'result'; readonly value: unknown }
  | { readonly type: 'end' }
  | { readonly type: 'error'; readonly error: ErrorData };

const PREFIX = 5;
/** Bytes of one frame of array data. */
const CHUNK = 256 * 1024;
/** Most bytes of one frame that are believed. */
const MAX_FRAME = 512 * 2 ** 20;
/** Most bytes of all arrays of one result that are believed. */
const MAX_ARRAYS = 16 * 2 ** 30;

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Bytes of an f32 array as they travel; the same memory where the machine is little-endian. */
export function littleBytes(data: Float32Array): Uint8Array<ArrayBuffer> {
  if (littleEndian) return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  const bytes = new Uint8Array(data.byteLength);
  const view = new DataView(bytes.buffer);
  data.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return bytes;
}

/** An f32 array from bytes as they travelled; takes the memory over. */
export function fromLittleBytes(bytes: Uint8Array<ArrayBuffer>): Float32Array {
  if (littleEndian && bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

function prefix(kind: 0 | 1, length: number): Uint8Array {
  const bytes = new Uint8Array(PREFIX);
  bytes[0] = kind;
  new DataView(bytes.buffer).setUint32(1, length, true);
  return bytes;
}

/** One message as bytes. */
export function messageFrame(message: FrameMessage): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(message));
  const bytes = new Uint8Array(PREFIX + text.length);
  bytes.set(prefix(0, text.length));
  bytes.set(text, PREFIX);
  return bytes;
}

/** A whole result as bytes, piece by piece: nothing is copied but small parts, and nothing is made before it is asked for. */
export function* resultFrames(result: unknown): Generator<Uint8Array, void, void> {
  const { value, arrays } = pack(result);
  yield messageFrame({ type: 'result', value });
  for (const array of arrays) {
    const bytes = littleBytes(array);
    for (let at = 0; at < bytes.length; at += CHUNK) {
      const part = bytes.subarray(at, at + CHUNK);
      yield prefix(1, part.length);
      yield part;
    }
  }
  yield messageFrame({ type: 'end' });
}

const wrong = (problem: string): TillerError => new TillerError('runner/answer', { problem });

/** Cuts a stream of bytes into exact lengths. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next bytes into `out`; false at the end of the stream, when nothing was read yet. @throws runner/connection in the middle */
  async fill(out: Uint8Array): Promise<boolean> {
    let at = 0;
    while (at < out.length) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next();
        if (next.done) {
          if (at === 0) return false;
          throw new TillerError('runner/connection', { problem: 'the answer ends in the middle' });
        }
        this.#rest = next.value;
        continue;
      }
      const part = this.#rest.subarray(0, out.length - at);
      out.set(part, at);
      at += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

interface Frame {
  readonly kind: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

async function nextFrame(reader: ByteReader): Promise<Frame | null> {
  const head = new Uint8Array(PREFIX);
  if (!(await reader.fill(head))) return null;
  const length = new DataView(head.buffer).getUint32(1, true);
  if (head[0] > 1) throw wrong(`a frame of the kind ${head[0]}`);
  if (length > MAX_FRAME) throw wrong(`a frame of ${length} bytes`);
  const bytes = new Uint8Array(length);
  if (length > 0 && !(await reader.fill(bytes))) throw new TillerError('runner/connection', { problem: 'the answer ends in the middle' });
  return { kind: head[0], bytes };
}

/** What may come before the result. */
export interface FrameListener {
  readonly onProgress?: (done: number, total: number) => void;
  readonly onLoading?: (progress: LoadProgress) => void;
  readonly onQueued?: (position: number) => void;
  /** Called for every message, so that a silent connection can be told from a slow one. */
  readonly onAlive?: () => void;
}

/**
 * Reads an answer to its end and gives its result.
 * @throws the error that the runner reports; runner/answer, runner/connection
 */
export async function readResult(chunks: AsyncIterable<Uint8Array>, listener: FrameListener = {}): Promise<unknown> {
  const reader = new ByteReader(chunks);
  try {
    for (;;) {
      const message = await nextMessage(reader);
      listener.onAlive?.();
      if (message.type === 'progress') listener.onProgress?.(message.done, message.total);
      else if (message.type === 'loading') listener.onLoading?.(message.progress);
      else if (message.type === 'queued') listener.onQueued?.(message.position);
      else if (message.type === 'result') return await readArrays(reader, message.value, listener);
      else if (message.type === 'end') throw wrong('it ends before its result');
    }
  } finally {
    await reader.close();
  }
}

async function nextMessage(reader: ByteReader): Promise<FrameMessage> {
  const frame = await nextFrame(reader);
  if (frame === null) throw new TillerError('runner/connection', { problem: 'the answer ends before its result' });
  if (frame.kind !== 0) throw wrong('bytes where a message was expected');
  const json = readJson(frame.bytes, 64);
  if ('problem' in json) throw wrong(json.problem);
  const message = json.value as FrameMessage;
  if (message.type === 'error') throw TillerError.fromJSON(message.error);
  return message;
}

async function readArrays(reader: ByteReader, value: unknown, listener: FrameListener): Promise<unknown> {
  const lengths = arrayLengths(value);
  if (4 * lengths.reduce((sum, length) => sum + length, 0) > MAX_ARRAYS) throw wrong('it announces more than can be held');
  const arrays: Float32Array[] = [];
  for (const length of lengths) {
    const bytes = new Uint8Array(4 * length);
    let at = 0;
    while (at < bytes.length) {
      const frame = await nextFrame(reader);
      if (frame === null) throw new TillerError('runner/connection', { problem: 'the answer ends in the middle' });
      if (frame.kind !== 1 || at + frame.bytes.length > bytes.length) throw wrong('its arrays do not have the announced lengths');
      bytes.set(frame.bytes, at);
      at += frame.bytes.length;
      listener.onAlive?.();
    }
    arrays.push(fromLittleBytes(bytes));
  }
  const end = await nextMessage(reader);
  if (end.type !== 'end') throw wrong('it goes on after its result');
  return unpack(value, arrays);
}
