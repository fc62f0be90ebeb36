import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { FileAccess } from '../model/files.ts';
import { openHub } from './hub.ts';
import { openUrl, WHOLE_FILE_LIMIT, type UrlOptions } from './url.ts';

const content = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 31) & 255);
const servers: Server[] = [];

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/m`;
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const waits: number[] = [];
async function open(listener: RequestListener, options: Partial<UrlOptions> = {}): Promise<FileAccess> {
  waits.length = 0;
  const wait = (milliseconds: number): Promise<void> => {
    waits.push(milliseconds);
    return Promise.resolve();
  };
  return openUrl(await serve(listener), { fetch, wait, ...options });
}

function range(request: IncomingMessage): [number, number] {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  if (!match) throw new Error(`no range: ${request.headers.range}`);
  return [Number(match[1]), Math.min(Number(match[2]) + 1, content.length)];
}

function partial(response: ServerResponse, [start, end]: [number, number], headers: Record<string, string> = {}): void {
  response.writeHead(206, {
    'content-range': `bytes ${start}-${end - 1}/${content.length}`,
    'content-length': String(end - start),
    ...headers,
  });
}

const good: RequestListener = (request, response) => {
  if (request.url !== '/models/m/file.bin') return void response.writeHead(404).end();
  const bytes = range(request);
  partial(response, bytes, { etag: '"v1"' });
  response.end(content.subarray(...bytes));
};

const code = (name: string): unknown => expect.objectContaining({ code: name });

describe('files of a server', () => {
  it('are read by ranges', async () => {
    const pieces: number[] = [];
    const files = await open(good, { onBytes: (_, bytes) => pieces.push(bytes) });
    expect(await files.size('file.bin')).toBe(content.length);
    expect(await files.read('file.bin', 10, 60_000)).toEqual(content.slice(10, 60_000));
    expect(await files.read('file.bin', 5, 5)).toEqual(new Uint8Array(0));
    expect(pieces.reduce((a, b) => a + b, 0)).toBe(59_990);
    expect(await files.size('nothing.bin')).toBeNull();
    await expect(files.read('file.bin', 0, content.length + 1)).rejects.toEqual(code('model/file'));
  });

  it('come from memory where the server ignores ranges, fetched once', async () => {
    let requests = 0;
    const files = await open((_, response) => {
      requests++;
      response.writeHead(200, { 'content-length': String(content.length) });
      response.end(content);
    });
    expect(await files.size('file.bin')).toBe(content.length);
    const reads = await Promise.all([files.read('file.bin', 0, 7), files.read('file.bin', 99_990, 100_000)]);
    expect(reads).toEqual([content.slice(0, 7), content.slice(99_990)]);
    expect(await files.read('file.bin', 50, 60)).toEqual(content.slice(50, 60));
    expect(requests).toBeLessThanOrEqual(3);
    await expect(files.read('file.bin', 0, content.length + 1)).rejects.toEqual(code('model/file'));
  });

  it('of unknown length come from memory too', async () => {
    const files = await open((_, response) => {
      response.writeHead(200);
      response.write(content.subarray(0, 1000));
      response.end(content.subarray(1000));
    });
    expect(await files.size('file.bin')).toBe(content.length);
    expect(await files.read('file.bin', 99, 2000)).toEqual(content.slice(99, 2000));
  });

  it('that are huge are refused where the server ignores ranges, before they are fetched', async () => {
    const files = await open((_, response) => {
      response.writeHead(200, { 'content-length': String(WHOLE_FILE_LIMIT + 1) });
      response.write(content);
    });
    expect(await files.size('file.bin')).toBe(WHOLE_FILE_LIMIT + 1);
    await expect(files.read('file.bin', 0, 10)).rejects.toThrow('ignores byte ranges');
  });

  it('go on where the connection dropped', async () => {
    const starts: number[] = [];
    const files = await open((request, response) => {
      const [start, end] = range(request);
      partial(response, [start, end]);
      starts.push(start);
      if (end - start <= 30_000) return void response.end(content.subarray(start, end));
      response.write(content.subarray(start, start + 30_000), () => setTimeout(() => response.destroy(), 20));
    });
    expect(await files.read('file.bin', 0, content.length)).toEqual(content);
    expect(starts.length).toBeGreaterThan(2);
    expect(starts.every((start, i) => i === 0 || start > starts[i - 1])).toBe(true);
  });

  it('are given up when nothing comes any more', async () => {
    const files = await open((_, response) => response.destroy(), { attempts: 3 });
    await expect(files.read('file.bin', 0, 10)).rejects.toEqual(code('network/failed'));
    expect(waits).toHaveLength(2);
    const empty = await open(
      (request, response) => {
        partial(response, range(request));
        response.flushHeaders();
        setTimeout(() => response.destroy(), 5);
      },
      { attempts: 2 },
    );
    await expect(empty.read('file.bin', 0, 10)).rejects.toEqual(code('network/failed'));
  });

  it('are asked for again when the server is busy, not when it refuses', async () => {
    let busy = 2;
    const files = await open((request, response) => (busy-- > 0 ? void response.writeHead(503).end() : good(request, response)));
    expect(await files.read('file.bin', 0, 10)).toEqual(content.slice(0, 10));
    expect(waits).toEqual([500, 1000]);
    let requests = 0;
    const gated = await open((_, response) => {
      requests++;
      response.writeHead(401).end();
    });
    await expect(gated.size('file.bin')).rejects.toThrow('licence');
    expect(requests).toBe(1);
  });

  it('may not change while they are read', async () => {
    let version = 1;
    const files = await open((request, response) => {
      const bytes = range(request);
      partial(response, bytes, { etag: `"v${version++}"` });
      response.end(content.subarray(...bytes));
    });
    await files.read('file.bin', 0, 10);
    await expect(files.read('file.bin', 10, 20)).rejects.toThrow('changed');
    let length = content.length;
    const growing = await open((request, response) => {
      const [start, end] = range(request);
      response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${length++}` }).end(content.subarray(start, end));
    });
    await growing.read('file.bin', 0, 10);
    await expect(growing.read('file.bin', 10, 20)).rejects.toThrow('changed');
  });

  it('must be the bytes that were asked for', async () => {
    const shifted = await open((request, response) => {
      const [start, end] = range(request);
      partial(response, [start + 1, end]);
      response.end(content.subarray(start + 1, end));
    });
    await expect(shifted.read('file.bin', 0, 10)).rejects.toEqual(code('network/failed'));
    const long = await open((request, response) => {
      const [start, end] = range(request);
      response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${content.length}` }).end(content);
    });
    await expect(long.read('file.bin', 0, 10)).rejects.toThrow('more than was asked');
    const page = await open((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>'));
    expect(await page.size('generation_config.json')).toBeNull();
    await expect(page.read('file.bin', 0, 4)).rejects.toThrow('web page');
  });

  it('have their size by HEAD where the range reply hides it, and may be empty', async () => {
    const files = await open((request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(200, { 'content-length': '1234' }).end();
      response.writeHead(206, { 'content-length': '1' }).end('x');
    });
    expect(await files.size('file.bin')).toBe(1234);
    const empty = await open((_, response) => response.writeHead(416, { 'content-range': 'bytes */0' }).end());
    expect(await empty.size('file.bin')).toBe(0);
  });

  it('stop when told to', async () => {
    const stop = new AbortController();
    const files = await open((request, response) => {
      partial(response, range(request));
      response.write(content.subarray(0, 100));
      stop.abort();
    });
    await expect(files.read('file.bin', 0, 1000, stop.signal)).rejects.toEqual(code('request/aborted'));
    await expect(files.read('file.bin', 0, 1000, stop.signal)).rejects.toEqual(code('request/aborted'));
  });
});

describe('the hub', () => {
  it('has its files below owner, name and revision, at any address', async () => {
    const seen: (string | undefined)[] = [];
    const base = await serve((request, response) => {
      seen.push(request.url, request.headers.authorization);
      partial(response, [0, 1]);
      response.end('x');
    });
    const files = openHub('owner/some.name', 'refs/pr/1', { fetch, hub: base, token: 'x' });
    expect(files.name).toBe('owner/some.name');
    await files.size('config.json');
    expect(seen).toEqual(['/models/m/owner/some.name/resolve/refs%2Fpr%2F1/config.json', 'Bearer x']);
  });

  it.each(['name', 'a/b/c', '../b', 'a/..', 'a/b?c', '', 'a /b'])('refuses the repository %j', (name) => {
    expect(() => openHub(name, 'main', { fetch })).toThrow(expect.objectContaining({ code: 'model/not-found' }));
  });

  it.each(['nowhere', 'file:///etc'])('refuses the address %j', (hub) => {
    expect(() => openHub('a/b', 'main', { fetch, hub })).toThrow(expect.objectContaining({ code: 'request/invalid' }));
  });
});
