import { TillerError } from '../errors/error.ts';
import type { FileAccess } from '../model/files.ts';
import { networkFailed, plainWait, politeFetch, type FetchOptions } from './polite-fetch.ts';

/** What reading from a server needs of the outside world. */
export interface UrlOptions extends FetchOptions {
  /** Told of every arriving piece, for progress. */
  readonly onBytes?: (path: string, bytes: number) => void;
  /** For messages. @default the address */
  readonly name?: string;
  /** Bytes of files as a listing has them: they are not asked for, and a server that says otherwise is refused. */
  readonly sizes?: ReadonlyMap<string, number>;
  /** The error of a place that knows what 401 and 403 mean there. */
  readonly refused?: (status: number) => TillerError;
}

/** A server that ignores ranges sends whole files; up to this size they are kept in memory, above it is refused. */
export const WHOLE_FILE_LIMIT = 256 * 2 ** 20;

interface Known {
  /** null until a reply told it. */
  size: number | null;
  etag: string | null;
  /** The whole file, where the server sends nothing less. */
  whole: Promise<Uint8Array> | null;
}

/** Weak tags and compressed variants say nothing about bytes. */
function strongTag(response: Response): string | null {
  const tag = response.headers.get('etag');
  return tag === null || tag.startsWith('W/') || response.headers.has('content-encoding') ? null : tag;
}

/** Servers of web apps answer with their start page where there is no file, and so do the log-in pages of public networks. */
const isWebPage = (response: Response): boolean => (response.headers.get('content-type') ?? '').startsWith('text/html');

/** `bytes 0-99/1234` -> start, end (exclusive) and total (null for `*`). */
function contentRange(response: Response): { start: number; end: number; total: number | null } | null {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
  return match ? { start: Number(match[1]), end: Number(match[2]) + 1, total: match[3] === '*' ? null : Number(match[3]) } : null;
}

/** Length of the body, where the reply states it and no compression makes it something else. */
function contentLength(response: Response): number | null {
  const text = response.headers.get('content-length');
  if (text === null || response.headers.has('content-encoding')) return null;
  return /^\d+$/.test(text) ? Number(text) : null;
}

/**
 * Files below an address, read by HTTP ranges. Dropped connections are taken up where they broke, busy servers are asked again,
 * a file that changes while it is being read is an error.
 * @param base address of the folder; a query is not carried over to the files
 */
export function openUrl(base: string, options: UrlOptions): FileAccess {
  const folder = base.endsWith('/') ? base : `${base}/`;
  const wait = options.wait ?? plainWait;
  const attempts = options.attempts ?? 4;
  const known = new Map<string, Known>();

  const knownOf = (path: string): Known => {
    const entry = known.get(path) ?? { size: options.sizes?.get(path) ?? null, etag: null, whole: null };
    known.set(path, entry);
    return entry;
  };
  const address = (path: string): string => folder + path.split('/').map(encodeURIComponent).join('/');

  const request = (path: string, init: RequestInit): Promise<Response> => politeFetch(address(path), init, options);
  const failed = (path: string, problem: string): TillerError => networkFailed(address(path), problem);

  /** Refusals that trying again does not change. */
  function checkStatus(path: string, response: Response): void {
    if (response.ok) return;
    if (response.status === 401 || response.status === 403) {
      if (options.refused) throw options.refused(response.status);
      throw failed(path, `the server answered ${response.status}: the files are not public, or a licence must be accepted there first`);
    }
    throw failed(path, `the server answered ${response.status}`);
  }

  /** Size and tag of a file must stay what they were. */
  function checkUnchanged(path: string, response: Response, size: number | null): void {
    const entry = knownOf(path);
    const tag = strongTag(response);
    const changed =
      (entry.etag !== null && tag !== null && entry.etag !== tag) || (entry.size !== null && size !== null && entry.size !== size);
    if (changed) {
      const listed = options.sizes?.get(path);
      if (listed !== undefined && size !== null && size !== listed)
        throw failed(path, `the server says it has ${size} bytes, the listing says ${listed}`);
      throw failed(path, 'the file changed on the server while it was being read; start again');
    }
    entry.etag ??= tag;
    entry.size ??= size;
  }

  /** Appends a body to `out` from `at`; gives how far it came, also when the connection broke. */
  async function drain(
    path: string,
    response: Response,
    out: Uint8Array,
    at: number,
    signal?: AbortSignal,
  ): Promise<{ at: number; broken: string | null }> {
    if (!response.body) return { at, broken: 'the reply has no body' };
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return { at, broken: at < out.length ? 'the connection ended early' : null };
        if (value.length > out.length - at) throw failed(path, 'the server sent more than was asked for');
        out.set(value, at);
        at += value.length;
        options.onBytes?.(path, value.length);
      }
    } catch (cause) {
      await reader.cancel().catch(() => undefined);
      if (cause instanceof TillerError) throw cause;
      if (signal?.aborted) throw new TillerError('request/aborted', {}, { cause });
      return { at, broken: cause instanceof Error ? cause.message : String(cause) };
    }
  }

  /** The body of a 200 reply to the end, for servers that know no ranges. */
  async function readWhole(path: string, first: Response, signal?: AbortSignal): Promise<Uint8Array> {
    const size = contentLength(first) ?? knownOf(path).size;
    if (size !== null && size > WHOLE_FILE_LIMIT) {
      await first.body?.cancel();
      throw failed(
        path,
        `the server ignores byte ranges, and the file's ${size} bytes are too many to keep in memory; serve it from a server with ranges`,
      );
    }
    if (size === null) return collect(path, first, signal);
    const out = new Uint8Array(size);
    const { at, broken } = await drain(path, first, out, 0, signal);
    if (at < size) throw failed(path, `${broken ?? 'the file is shorter than stated'}, after ${at} of ${size} bytes`);
    return out;
  }

  /** A body of unknown length, up to the limit. */
  async function collect(path: string, response: Response, signal?: AbortSignal): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    try {
      for await (const piece of readPieces(response)) {
        length += piece.length;
        if (length > WHOLE_FILE_LIMIT)
          throw failed(path, `the server ignores byte ranges, and the file is larger than ${WHOLE_FILE_LIMIT} bytes`);
        pieces.push(piece);
        options.onBytes?.(path, piece.length);
      }
    } catch (cause) {
      if (cause instanceof TillerError) throw cause;
      if (signal?.aborted) throw new TillerError('request/aborted', {}, { cause });
      throw failed(path, cause instanceof Error ? cause.message : String(cause));
    }
    const out = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      out.set(piece, at);
      at += piece.length;
    }
    return out;
  }

  /** Takes over a 200 reply as the whole file, once; later reads come out of memory. A failure is not remembered. */
  function keepWhole(path: string, response: Response, signal?: AbortSignal): Promise<Uint8Array> {
    const entry = knownOf(path);
    if (entry.whole) {
      void response.body?.cancel();
      return entry.whole;
    }
    const whole = readWhole(path, response, signal).catch((error: unknown) => {
      entry.whole = null;
      throw error;
    });
    entry.whole = whole;
    return whole;
  }

  async function size(path: string, signal?: AbortSignal): Promise<number | null> {
    const entry = knownOf(path);
    if (entry.size !== null) return entry.size;
    const response = await request(path, { headers: { Range: 'bytes=0-0' }, signal });
    if (response.status === 404 || response.status === 410) {
      await response.body?.cancel();
      return null;
    }
    if (response.ok && isWebPage(response)) {
      await response.body?.cancel();
      return null;
    }
    // An empty file has no byte 0: the reply is 416 with `bytes */0`.
    if (response.status === 416) {
      await response.body?.cancel();
      entry.size = 0;
      return 0;
    }
    checkStatus(path, response);
    if (response.status === 206) {
      const total = contentRange(response)?.total ?? null;
      await response.body?.cancel();
      if (total !== null) checkUnchanged(path, response, total);
      return total ?? headSize(path, signal);
    }
    checkUnchanged(path, response, contentLength(response));
    if (entry.size !== null) {
      await response.body?.cancel();
      return entry.size;
    }
    entry.size = (await keepWhole(path, response, signal)).length;
    return entry.size;
  }

  /** Where a page may not see Content-Range of another origin, the reply to HEAD still has its length. */
  async function headSize(path: string, signal?: AbortSignal): Promise<number> {
    const response = await request(path, { method: 'HEAD', signal });
    checkStatus(path, response);
    const length = contentLength(response);
    if (length === null) throw failed(path, 'the server tells no size of the file');
    checkUnchanged(path, response, length);
    return length;
  }

  async function read(path: string, start: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    const entry = knownOf(path);
    if (start === end) return new Uint8Array(0);
    if (entry.size !== null && end > entry.size)
      throw new TillerError('model/file', { file: path, problem: `it ends at byte ${entry.size}, expected ${end}` });
    if (entry.whole) return part(path, await entry.whole, start, end);
    const out = new Uint8Array(end - start);
    let at = 0;
    let fruitless = 0;
    while (at < out.length) {
      const response = await request(path, { headers: { Range: `bytes=${start + at}-${end - 1}` }, signal });
      if (response.status === 416) throw new TillerError('model/file', { file: path, problem: `it ends before byte ${end}` });
      if (response.status === 404) throw failed(path, 'the server has no such file');
      checkStatus(path, response);
      if (isWebPage(response)) throw failed(path, 'the server sent a web page instead of the file');
      if (response.status !== 206) {
        checkUnchanged(path, response, contentLength(response));
        return part(path, await keepWhole(path, response, signal), start, end);
      }
      const range = contentRange(response);
      checkUnchanged(path, response, range?.total ?? null);
      if (range && (range.start !== start + at || range.end > end))
        throw failed(path, `the server sent bytes ${range.start} to ${range.end}, asked for ${start + at} to ${end}`);
      const before = at;
      const { at: now, broken } = await drain(path, response, out, at, signal);
      at = now;
      fruitless = at > before ? 0 : fruitless + 1;
      if (at < out.length && fruitless >= attempts) throw failed(path, `${broken ?? 'nothing came'}, after ${at} of ${out.length} bytes`);
      if (broken && at < out.length) await wait(500 * 2 ** fruitless, signal);
    }
    return out;
  }

  /** The tag that came with the file's size, which is asked for where it is not known yet. */
  async function tag(path: string, signal?: AbortSignal): Promise<string | null> {
    await size(path, signal);
    return knownOf(path).etag;
  }

  return { name: options.name ?? base, size, read, tag };
}

function part(path: string, whole: Uint8Array, start: number, end: number): Uint8Array {
  if (end > whole.length) throw new TillerError('model/file', { file: path, problem: `it ends at byte ${whole.length}, expected ${end}` });
  return whole.slice(start, end);
}

async function* readPieces(response: Response): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
