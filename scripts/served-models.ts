import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { knownModels } from '../src/model/known.ts';
import { weightVariants } from '../src/model/weight-choice.ts';
import { MANIFEST, parseManifest } from '../src/store/manifest.ts';
import type { ServedIndex, ServedModel } from '../src/store/served-models.ts';

/** The folder models/ as the page's server offers it: `models/index.json`, and files by byte ranges. */

const isPlain = (part: string): boolean => /^[\w.-]+$/.test(part) && !part.startsWith('.');
const papers = new Set(['README.md', 'LICENSE', MANIFEST]);

async function filesBelow(folder: string, prefix = ''): Promise<{ path: string; bytes: number }[]> {
  const out: { path: string; bytes: number }[] = [];
  for (const entry of (await readdir(join(folder, prefix))).filter(isPlain).sort()) {
    const path = `${prefix}${entry}`;
    const info = await stat(join(folder, path));
    if (info.isDirectory()) out.push(...(await filesBelow(folder, `${path}/`)));
    else if (!papers.has(path)) out.push({ path, bytes: info.size });
  }
  return out;
}

/** A folder as a model; null where it has no weights. Hashes are those of its manifest, where it has one that fits. */
async function servedModel(folder: string, name: string): Promise<ServedModel | null> {
  const found = await filesBelow(folder);
  const manifest = parseManifest(await readFile(join(folder, MANIFEST), 'utf8').catch(() => ''));
  const stated = manifest?.files.filter((file) => found.some(({ path, bytes }) => path === file.name && bytes === file.bytes)) ?? [];
  const known = knownModels.find(({ built }) => built === name);
  const [title, licence] = [known?.title ?? manifest?.label ?? name, known?.licence ?? manifest?.origin?.licence ?? null];
  if (manifest && stated.length === manifest.files.length) {
    const files = stated.map((file) => ({ path: file.name, bytes: file.bytes, sha256: file.sha256 }));
    return { name, title, licence, weights: manifest.weights, files };
  }
  const [variant] = weightVariants(found);
  if (!variant) return null;
  const weights = variant.format === 'safetensors' ? null : variant.path;
  return { name, title, licence, weights, files: found.map((file) => ({ ...file, sha256: null })) };
}

/** Models in the folders below `root`. */
export async function servedIndex(root: string): Promise<ServedIndex> {
  const names = await readdir(root).catch(() => []);
  const models: ServedModel[] = [];
  for (const name of names.filter(isPlain).sort()) {
    const folder = join(root, name);
    if (!(await stat(folder)).isDirectory()) continue;
    const model = await servedModel(folder, name);
    if (model) models.push(model);
  }
  return { models };
}

/** Answers requests below /models/ out of `root`, whole files and ranges; gives what it does not know to `next`. */
export function serveModels(root: string): (request: IncomingMessage, response: ServerResponse, next: () => void) => void {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const path = /^\/models\/([^?#]+)/.exec(request.url ?? '')?.[1];
    if (path === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) return false;
    if (path === 'index.json') {
      const text = JSON.stringify(await servedIndex(root));
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache' }).end(text);
      return true;
    }
    if (!path.split('/').every(isPlain)) return false;
    const file = join(root, path);
    const info = await stat(file).catch(() => null);
    if (!info?.isFile()) return false;
    const etag = `"${info.size.toString(16)}-${Math.round(info.mtimeMs).toString(16)}"`;
    const headers = { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream', 'cache-control': 'no-cache', etag };
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = range ? Number(range[1]) : 0;
    const end = range?.[2] ? Math.min(info.size, Number(range[2]) + 1) : info.size;
    if (range && (start >= info.size || start >= end)) {
      response.writeHead(416, { ...headers, 'content-range': `bytes */${info.size}` }).end();
      return true;
    }
    const part = range ? { 'content-range': `bytes ${start}-${end - 1}/${info.size}` } : {};
    response.writeHead(range ? 206 : 200, { ...headers, 'content-length': end - start, ...part });
    if (request.method === 'HEAD' || start === end) response.end();
    else
      createReadStream(file, { start, end: end - 1 })
        .on('error', () => response.destroy())
        .pipe(response);
    return true;
  };
  return (request, response, next) => {
    answer(request, response).then(
      (answered) => {
        if (!answered) next();
      },
      () => next(),
    );
  };
}
