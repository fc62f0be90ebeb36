import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Content of a file: bytes, or a file on disk that is too big to hold. */
export type Content = Uint8Array | { readonly path: string; readonly bytes: number; readonly sha256: string };

interface Repository {
  /** By path. Large files (`lfs`) are redirected to the other host, as hubs do. */
  files: Readonly<Record<string, Content>>;
  gated?: 'token' | 'terms';
  licence?: string;
  commit?: string;
}

/** One request that reached one of the two hosts. */
export interface SeenRequest {
  readonly host: 'hub' | 'cdn';
  readonly url: string;
  readonly range: string | null;
  readonly authorization: string | null;
}

/** Answers a request in place of the server; true when it did. */
type Trouble = (request: IncomingMessage, response: ServerResponse, host: 'hub' | 'cdn') => boolean;

const LFS_FROM = 1000;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export const gitSha1 = (bytes: Uint8Array): string => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
const sizeOf = (content: Content): number => ('path' in content ? content.bytes : content.length);
const shaOf = (content: Content): string => ('path' in content ? content.sha256 : sha256(content));

/**
 * A server with the hub's addresses: `/api/models/…` for listings in pages, `/…/resolve/…` for files, large ones redirected to a second
 * host that knows byte ranges. Bound to this machine; nothing of it leaves.
 */
export class HubServer {
  readonly seen: SeenRequest[] = [];
  readonly repositories = new Map<string, Repository>();
  /** Files in one page of a listing. */
  pageSize = 2;
  token: string | null = null;
  /** The token of somebody who accepted the terms. */
  accepted: string | null = null;
  trouble: Trouble | null = null;
  /** Bytes in one piece of a body; null sends all at once. With `pace` a pause lies between them, so that a test can interrupt. */
  piece: number | null = null;
  pace: (() => Promise<void>) | null = null;
  readonly #servers: Server[] = [];
  #addresses: Record<'hub' | 'cdn', string> = { hub: '', cdn: '' };

  async start(ports: readonly [number, number] = [0, 0]): Promise<void> {
    for (const [i, host] of (['cdn', 'hub'] as const).entries()) {
      const server = createServer((request, response) => {
        this.#answer(host, request, response).catch(() => response.destroy());
      });
      await new Promise<void>((resolve) => server.listen(ports[i], '127.0.0.1', resolve));
      this.#addresses[host] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      this.#servers.push(server);
    }
  }

  get address(): string {
    return this.#addresses.hub;
  }

  get cdn(): string {
    return this.#addresses.cdn;
  }

  async stop(): Promise<void> {
    for (const server of this.#servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /** Forgets troubles and what was seen. */
  reset(): void {
    this.seen.length = 0;
    this.repositories.clear();
    [this.trouble, this.piece, this.pace, this.token, this.accepted, this.pageSize] = [null, null, null, null, null, 2];
  }

  commitOf(repository: string): string {
    return this.repositories.get(repository)?.commit ?? createHash('sha1').update(repository).digest('hex');
  }

  /** First bytes of the ranges that were asked for of files of this name. */
  rangesOf(name: string): number[] {
    return this.seen.flatMap(({ url, range }) =>
      decodeURIComponent(url).split('?')[0].endsWith(name) && range ? [Number(/\d+/.exec(range)?.[0])] : [],
    );
  }

  async #answer(host: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '';
    const { range = null, authorization = null } = request.headers;
    // Pages of other origins ask for permission first, and only read the headers that are named.
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('access-control-allow-headers', 'authorization, range');
    response.setHeader(
      'access-control-expose-headers',
      'Link, ETag, Content-Range, Content-Length, Retry-After, X-Error-Code, X-Linked-ETag',
    );
    if (request.method === 'OPTIONS') return void response.writeHead(204).end();
    this.seen.push({ host, url, range, authorization });
    if (this.trouble?.(request, response, host)) return;
    const path = decodeURIComponent(new URL(url, this.address).pathname);
    if (host === 'cdn') return this.#file(path.slice(1), request, response);
    const api = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)$/.exec(path);
    const resolve = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    const repository = api?.[1] ?? resolve?.[1] ?? '';
    const known = this.repositories.get(repository);
    const error = (status: number, code: string): void => void response.writeHead(status, { 'x-error-code': code }).end('{}');
    if (!known) return error(401, 'RepoNotFound');
    const revision = api?.[3] ?? resolve?.[2] ?? '';
    if (revision !== 'main' && revision !== this.commitOf(repository)) return error(404, 'RevisionNotFound');
    if (resolve && known.gated === 'token' && authorization !== `Bearer ${this.token}`) return error(401, 'GatedRepo');
    if (resolve && known.gated === 'terms' && authorization !== `Bearer ${this.accepted}`)
      return error(authorization ? 403 : 401, 'GatedRepo');
    if (api?.[2] === 'revision') {
      const info = {
        id: repository,
        sha: this.commitOf(repository),
        gated: known.gated ? 'auto' : false,
        private: false,
        cardData: { license: known.licence },
      };
      return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(info));
    }
    if (api) return this.#page(known, url, response);
    const content = known.files[resolve?.[3] ?? ''] as Content | undefined;
    if (!content) return error(404, 'EntryNotFound');
    if (sizeOf(content) < LFS_FROM) return this.#file(`${repository}/${resolve?.[3]}`, request, response);
    const location = `${this.#addresses.cdn}/${repository}/${encodeURIComponent(resolve?.[3] ?? '')}?signature=x`;
    response.writeHead(302, { location, 'x-linked-etag': `"${shaOf(content)}"`, 'x-linked-size': sizeOf(content) }).end();
  }

  #page({ files }: Repository, url: string, response: ServerResponse): void {
    const cursor = Number(new URL(url, this.address).searchParams.get('cursor') ?? 0);
    const folders = [...new Set(Object.keys(files).flatMap((path) => (path.includes('/') ? [path.slice(0, path.lastIndexOf('/'))] : [])))];
    const entries = [
      ...folders.map((path) => ({ type: 'directory', oid: '0'.repeat(40), size: 0, path })),
      ...Object.entries(files).map(([path, content]) => {
        const size = sizeOf(content);
        if (size < LFS_FROM && content instanceof Uint8Array) return { type: 'file', oid: gitSha1(content), size, path };
        return { type: 'file', oid: '1'.repeat(40), size, path, lfs: { oid: shaOf(content), size, pointerSize: 134 } };
      }),
    ];
    const next = cursor + this.pageSize;
    const link = next < entries.length ? { link: `<${this.address}${url.split('?')[0]}?recursive=1&cursor=${next}>; rel="next"` } : {};
    response.writeHead(200, { 'content-type': 'application/json', ...link }).end(JSON.stringify(entries.slice(cursor, next)));
  }

  async #file(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [owner, name, ...rest] = path.split('/');
    const content = this.repositories.get(`${owner}/${name}`)?.files[rest.join('/')];
    if (!content) return void response.writeHead(404).end();
    const size = sizeOf(content);
    const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = match ? Number(match[1]) : 0;
    const end = match?.[2] ? Math.min(size, Number(match[2]) + 1) : size;
    if (match && start >= size) return void response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    const range = match ? { 'content-range': `bytes ${start}-${end - 1}/${size}` } : {};
    response.writeHead(match ? 206 : 200, { etag: `"${shaOf(content)}"`, 'content-length': end - start, ...range });
    if (request.method === 'HEAD') return void response.end();
    // A client that goes away ends it.
    await pipeline(Readable.from(this.#pieces(content, start, end)), response).catch(() => response.destroy());
  }

  async *#pieces(content: Content, start: number, end: number): AsyncGenerator<Uint8Array> {
    const step = this.piece ?? 2 ** 20;
    const file = 'path' in content ? openSync(content.path, 'r') : null;
    try {
      for (let at = start; at < end; at += step) {
        const bytes = new Uint8Array(Math.min(end, at + step) - at);
        if (file !== null) readSync(file, bytes, 0, bytes.length, at);
        else if (content instanceof Uint8Array) bytes.set(content.subarray(at, at + bytes.length));
        yield bytes;
        await this.pace?.();
      }
    } finally {
      if (file !== null) closeSync(file);
    }
  }
}
