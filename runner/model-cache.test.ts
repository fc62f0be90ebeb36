import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Scratch, golden, tiller } from '../test/cli.ts';

const scratch = new Scratch();
const folder = golden('llama_gqa_tied');
const weights = readFileSync(join(folder, 'model.safetensors'));
let server: Server;
let ranges: string[] = [];

/** A hub with one repository, which knows byte ranges. */
beforeAll(async () => {
  server = createServer((request, response) => {
    const name = /^\/owner\/tiny\/resolve\/main\/([\w.]+)$/.exec(request.url ?? '')?.[1];
    const path = name === undefined ? '' : join(folder, name);
    if (!['config.json', 'model.safetensors'].includes(name ?? '') || !existsSync(path)) {
      response.writeHead(404).end();
      return;
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const size = statSync(path).size;
    if (!range) {
      response.writeHead(200, { 'content-length': size, 'accept-ranges': 'bytes' });
      response.end(request.method === 'HEAD' ? undefined : readFileSync(path));
      return;
    }
    if (name === 'model.safetensors') ranges.push(range[0]);
    const start = Number(range[1]);
    const end = Math.min(size, range[2] === '' ? size : Number(range[2]) + 1);
    response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${size}`, 'content-length': end - start });
    response.end(readFileSync(path).subarray(start, end));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  server.close();
  scratch.remove();
});

const run = (...args: string[]) => {
  const { port } = server.address() as AddressInfo;
  return tiller([...args, '--json'], { HF_ENDPOINT: `http://127.0.0.1:${port}`, HF_TOKEN: '', XDG_CACHE_HOME: scratch.folder });
};

describe('models from the hub', () => {
  const kept = (name: string): string => join(scratch.folder, 'tiller', 'models', 'owner--tiny', name);

  it('are downloaded once, then used from the cache', async () => {
    const first = await run('info', '--model', 'owner/tiny', '--engine', 'reference');
    expect(first.status, first.stderr).toBe(0);
    expect(readFileSync(kept('model.safetensors')).equals(weights)).toBe(true);
    const asked = ranges.length;
    expect((await run('info', '--model', 'owner/tiny', '--engine', 'reference')).stdout).toBe(first.stdout);
    expect(ranges.length).toBe(asked);
  });

  it('are listed, verified and deleted', async () => {
    const listed = JSON.parse((await run('models')).stdout) as { downloaded: { repository: string; complete: boolean }[] };
    expect(listed.downloaded).toMatchObject([{ repository: 'owner/tiny', complete: true }]);
    expect((await run('models', 'verify', 'owner/tiny')).status).toBe(0);
    expect((await run('models', 'delete', 'owner/tiny')).status).toBe(0);
    expect(existsSync(kept('config.json'))).toBe(false);
    const gone = await run('models', 'verify', 'owner/tiny');
    expect([gone.status, gone.stdout.includes('model/not-found')]).toEqual([1, true]);
  });

  it('go on where an interrupted download stopped', async () => {
    mkdirSync(join(kept('x'), '..'), { recursive: true });
    writeFileSync(kept('model.safetensors.part'), weights.subarray(0, 1000));
    ranges = [];
    expect((await run('models', 'fetch', 'owner/tiny')).status).toBe(0);
    expect(ranges.filter((range) => range.startsWith('bytes=1000-'))).toHaveLength(1);
    expect(readFileSync(kept('model.safetensors')).equals(weights)).toBe(true);
  });

  it('that are not there are a named error', async () => {
    const result = await run('info', '--model', 'owner/nothing');
    expect([result.status, result.stdout.includes('model/not-found')]).toEqual([1, true]);
  });
});
