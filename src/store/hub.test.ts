import { mkdtemp, readFile, rm, stat, symlink, mkdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { goldenModel } from '../../test/weights/golden-weights.ts';
import { onnxSample } from '../../test/weights/onnx-sample.ts';
import { HubServer, gitSha1 } from '../../test/hub/hub-server.ts';
import { openModel } from '../model/model.ts';
import { diskFolder } from './disk-folder.ts';
import { openFolder } from './folder.ts';
import type { HubAccess } from './hub.ts';
import { listHub, nextPage } from './hub-listing.ts';
import { planHub, resumeHub } from './hub-plan.ts';
import { fillFolder, isComplete, readManifest, verifyFolder, type StoreProgress } from './model-folder.ts';
import { transformersKeys, withTransformersCache } from './transformers-cache.ts';

const hub = new HubServer();
beforeAll(() => hub.start());
afterAll(() => hub.stop());

const golden = goldenModel('llama_gqa_tied');
const config = new TextEncoder().encode(JSON.stringify(golden.config));
const matrix = { kind: 'nbits', bits: 4, block: 32, zeros: false, half: true, named: 'default' } as const;
const sample = onnxSample(golden.spec, (name) => golden.weights(name), { layout: 'builder', matrix, external: 'model_q4.onnx_data' });
const files = {
  'README.md': new TextEncoder().encode('# tiny'),
  'config.json': config,
  LICENSE: new TextEncoder().encode('free'),
  'onnx/model_q4.onnx': sample.model,
  'onnx/model_q4.onnx_data': sample.data,
};
const name = { repository: 'owner/tiny', revision: 'main', file: null };
const { signal } = new AbortController();

let folder: string;
const waits: number[] = [];
beforeEach(async () => {
  hub.reset();
  waits.length = 0;
  hub.repositories.set('owner/tiny', { files, licence: 'apache-2.0' });
  folder = await mkdtemp(join(tmpdir(), 'tiller-hub-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const access = (more: Partial<HubAccess> = {}): HubAccess => ({
  fetch,
  hub: hub.address,
  wait: (ms) => {
    waits.push(ms);
    return Promise.resolve();
  },
  ...more,
});
const code = (name: string): unknown => expect.objectContaining({ code: name });
const ignore = (): void => undefined;

async function download(more: Partial<HubAccess> = {}, report: (progress: StoreProgress) => void = ignore): Promise<void> {
  const earlier = await readManifest(diskFolder(folder));
  const { plan, source } = earlier?.origin
    ? resumeHub({ ...earlier, place: earlier.place, origin: earlier.origin }, access(more))
    : await planHub(name, 'owner/tiny', null, access(more), signal);
  await fillFolder(diskFolder(folder), plan, source, report, signal);
}

describe('the listing of a repository', () => {
  it('is read page by page, with the commit, sizes and hashes', async () => {
    const listing = await listHub('owner/tiny', 'main', access());
    expect(listing).toMatchObject({ commit: hub.commitOf('owner/tiny'), gated: false, private: false, licence: 'apache-2.0' });
    expect(listing.files.map(({ path }) => path)).toEqual(Object.keys(files));
    expect(listing.files[0].hash).toEqual({ kind: 'git-sha1', hex: gitSha1(files['README.md']) });
    expect(listing.files.at(-1)?.hash.kind).toBe('sha256');
    expect(listing.files.at(-1)?.bytes).toBe(sample.data.length);
    // A folder and five files, two in a page.
    expect(hub.seen.filter(({ url }) => url.includes('/tree/'))).toHaveLength(3);
  });

  it('says what is not there, and what is not for everybody', async () => {
    await expect(listHub('owner/other', 'main', access())).rejects.toThrow('or only for people with a token');
    await expect(listHub('owner/tiny', 'v9', access())).rejects.toThrow('no such revision');
    hub.trouble = (_, response) => {
      response.writeHead(200).end('<html>log in</html>');
      return true;
    };
    await expect(listHub('owner/tiny', 'main', access())).rejects.toThrow('is not JSON');
  });

  it('never takes the token to another host', async () => {
    hub.trouble = (request, response) => {
      if (!request.url?.includes('/tree/')) return false;
      response.writeHead(200, { link: `<${hub.cdn}/more>; rel="next"` }).end('[]');
      return true;
    };
    await expect(listHub('owner/tiny', 'main', access({ token: 'hf_secret' }))).rejects.toThrow('at another host');
    expect(hub.seen.filter(({ host }) => host === 'cdn')).toEqual([]);
  });

  it('refuses files that lie elsewhere and sizes that are none', async () => {
    const listed = (entry: unknown): void => {
      hub.trouble = (request, response) => {
        if (!request.url?.includes('/tree/')) return false;
        response.writeHead(200).end(JSON.stringify([entry]));
        return true;
      };
    };
    listed({ type: 'file', path: '../../x', size: 1, oid: 'a'.repeat(40) });
    await expect(listHub('owner/tiny', 'main', access())).rejects.toThrow('outside of the repository');
    listed({ type: 'file', path: 'x', size: -1, oid: 'a'.repeat(40) });
    await expect(listHub('owner/tiny', 'main', access())).rejects.toThrow('another form');
    listed({ type: 'file', path: 'x', size: 1, oid: 'zz' });
    await expect(listHub('owner/tiny', 'main', access())).rejects.toThrow('without a hash');
  });

  it.each([
    [null, null],
    ['<https://h/x?cursor=a,b>; rel="next"', 'https://h/x?cursor=a,b'],
    ['<https://h/p>; rel="prev", <https://h/n>; rel=next', 'https://h/n'],
    ['<https://h/p>; rel="last"', null],
  ])('goes on where the Link header says: %j', (link, next) => {
    expect(nextPage(link)).toBe(next);
  });
});

describe('a download', () => {
  it('takes the weights, what belongs to them, and nothing else; it opens as a model, and no request is needed then', async () => {
    const stages = new Set<string>();
    let last: StoreProgress | null = null;
    await download({}, (progress) => {
      stages.add(progress.stage);
      last = progress;
    });
    expect([...stages]).toEqual(['download', 'verify']);
    const manifest = await readManifest(diskFolder(folder));
    const total = manifest?.files.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(last).toEqual({ stage: 'verify', done: total, total });
    expect(manifest?.files.map((file) => file.name)).toEqual(['config.json', 'onnx/model_q4.onnx', 'onnx/model_q4.onnx_data', 'LICENSE']);
    expect(manifest?.origin?.commit).toBe(hub.commitOf('owner/tiny'));
    expect(
      isComplete(
        manifest!,
        manifest!.files.map(({ bytes }) => bytes),
      ),
    ).toBe(true);
    expect((await openModel(openFolder(folder), signal, manifest?.weights ?? undefined)).spec).toEqual(golden.spec);
    // Every request for a file names the commit.
    expect(hub.seen.filter(({ url }) => url.includes('/resolve/main/'))).toEqual([]);
    await verifyFolder(diskFolder(folder), manifest!, ignore, signal);
  });

  it('sends the token to the hub and not along a redirect', async () => {
    hub.token = 'hf_secret';
    hub.repositories.set('owner/tiny', { files, gated: 'token' });
    await download({ token: 'hf_secret' });
    const [own, other] = ['hub', 'cdn'].map((host) => hub.seen.filter((request) => request.host === host));
    expect(own.length).toBeGreaterThan(3);
    expect(own.every(({ authorization }) => authorization === 'Bearer hf_secret')).toBe(true);
    expect(other.length).toBeGreaterThan(0);
    expect(other.every(({ authorization }) => authorization === null)).toBe(true);
  });

  it('of gated files says who is let in', async () => {
    hub.repositories.set('owner/tiny', { files, gated: 'terms' });
    hub.accepted = 'hf_accepted';
    await expect(download()).rejects.toThrow('asks for an access token');
    await expect(download({ token: 'hf_other' })).rejects.toEqual(code('hub/gated'));
    await expect(download({ token: 'hf_other' })).rejects.toThrow('terms were not accepted');
    await expect(download({ token: 'no\ntoken' })).rejects.toEqual(code('request/invalid'));
    await download({ token: 'hf_accepted' });
  });

  it('waits as long as a busy hub asks, and says so where that is long', async () => {
    let busy = 2;
    hub.trouble = (request, response) => {
      if (!request.url?.includes('/resolve/') || busy-- <= 0) return false;
      response.writeHead(429, busy === 1 ? { 'retry-after': '7' } : { date: 'Sat, 28 Nov 2026 12:00:00 GMT', 'retry-after': 'Sat, 28 Nov 2026 12:00:09 GMT' }).end(); // prettier-ignore
      return true;
    };
    await download();
    expect(waits).toEqual([7000, 9000]);
    hub.trouble = (_, response) => {
      response.writeHead(429, { 'retry-after': '3600' }).end();
      return true;
    };
    await expect(listHub('owner/tiny', 'main', access())).rejects.toThrow('in 3600 s');
  });

  it('survives connections that break, and goes on at the byte where they did', async () => {
    hub.piece = 5000;
    let breaks = 3;
    hub.pace = () => (breaks-- > 0 ? Promise.reject(new Error('broken on purpose')) : Promise.resolve());
    await download();
    expect(await readFile(join(folder, 'onnx/model_q4.onnx_data'))).toEqual(Buffer.from(sample.data));
  });

  it('goes on from an earlier part at the commit it was begun with, though the repository has moved on', async () => {
    const stop = new AbortController();
    const { plan, source } = await planHub(name, 'owner/tiny', null, access(), signal);
    const report = ({ done }: StoreProgress): void => (done > 20_000 ? stop.abort() : undefined);
    hub.piece = 4000;
    await fillFolder(diskFolder(folder), plan, { ...source, read: async (path, start, end) => source.read(path, start, Math.min(end, start + 9000)) }, report, stop.signal).catch(ignore); // prettier-ignore
    expect(stop.signal.aborted).toBe(true);
    const parts = existsSync(join(folder, 'onnx/model_q4.onnx_data.part'))
      ? (await stat(join(folder, 'onnx/model_q4.onnx_data.part'))).size
      : 0;
    hub.seen.length = 0;
    await download();
    expect(hub.seen.filter(({ url }) => url.includes('/api/'))).toEqual([]);
    expect(Math.min(...hub.rangesOf('model_q4.onnx_data'))).toBe(parts);
    expect(await readFile(join(folder, 'onnx/model_q4.onnx_data'))).toEqual(Buffer.from(sample.data));
    // A commit that is gone is an error, not another model.
    await rm(folder, { recursive: true });
    const begun = await planHub(name, 'owner/tiny', null, access(), signal);
    hub.repositories.set('owner/tiny', { files, commit: 'b'.repeat(40) });
    await expect(fillFolder(diskFolder(folder), begun.plan, begun.source, ignore, signal)).rejects.toEqual(code('network/failed'));
  });

  it('starts a file anew once where what an earlier attempt left is damaged', async () => {
    const { plan, source } = await planHub(name, 'owner/tiny', null, access(), signal);
    await mkdir(join(folder, 'onnx'));
    await writeFile(join(folder, 'onnx/model_q4.onnx_data.part'), new Uint8Array(3000));
    await fillFolder(diskFolder(folder), plan, source, ignore, signal);
    expect(await readFile(join(folder, 'onnx/model_q4.onnx_data'))).toEqual(Buffer.from(sample.data));
    expect(hub.rangesOf('model_q4.onnx_data')).toEqual(expect.arrayContaining([3000, 0]));
  });

  it('of something else than was listed is refused by its hash, and nothing of it is kept', async () => {
    const { plan, source } = await planHub(name, 'owner/tiny', null, access(), signal);
    const changed = sample.data.slice();
    changed[changed.length - 1] ^= 1;
    hub.repositories.set('owner/tiny', { files: { ...files, 'onnx/model_q4.onnx_data': changed } });
    await expect(fillFolder(diskFolder(folder), plan, source, ignore, signal)).rejects.toEqual(code('model/hash'));
    expect(existsSync(join(folder, 'onnx/model_q4.onnx_data'))).toBe(false);
    hub.repositories.set('owner/tiny', { files });
    await download();
    // Small files have the hash of a git blob.
    await rm(folder, { recursive: true });
    const again = await planHub(name, 'owner/tiny', null, access(), signal);
    const spaced = new TextDecoder().decode(config).replace('{', ' ').replace('"', '{"').slice(0, config.length);
    hub.repositories.set('owner/tiny', { files: { ...files, 'config.json': new TextEncoder().encode(spaced) } });
    await expect(fillFolder(diskFolder(folder), again.plan, again.source, ignore, signal)).rejects.toThrow('its git-sha1 is');
  });

  it('of another length than was listed is refused before it is read', async () => {
    const { plan, source } = await planHub(name, 'owner/tiny', null, access(), signal);
    hub.repositories.set('owner/tiny', { files: { ...files, 'onnx/model_q4.onnx_data': sample.data.subarray(1) } });
    await expect(fillFolder(diskFolder(folder), plan, source, ignore, signal)).rejects.toThrow('the listing says');
  });

  it('says that the disk is full, and keeps what is there', { skip: process.platform !== 'linux' }, async () => {
    await mkdir(join(folder, 'onnx'));
    await symlink('/dev/full', join(folder, 'onnx/model_q4.onnx_data.part'));
    await expect(download()).rejects.toEqual(code('store/no-room'));
    expect(existsSync(join(folder, 'config.json.part'))).toBe(true);
    await rm(join(folder, 'onnx/model_q4.onnx_data.part'));
    await download();
    const { plan, source } = await planHub(name, 'owner/tiny', null, access(), signal);
    const small = { ...diskFolder(`${folder}-2`), room: () => Promise.resolve(1000) };
    await expect(fillFolder(small, plan, source, ignore, signal)).rejects.toThrow('are needed and 1 MB are free');
    expect(existsSync(`${folder}-2`)).toBe(false);
  });

  it('is verified against the hashes of the hub, and damage on disk is found', async () => {
    await download();
    const path = join(folder, 'onnx/model_q4.onnx_data');
    const bytes = await readFile(path);
    bytes[100] ^= 1;
    await writeFile(path, bytes);
    const manifest = await readManifest(diskFolder(folder));
    await expect(verifyFolder(diskFolder(folder), manifest!, ignore, signal)).rejects.toEqual(code('model/hash'));
    await writeFile(path, bytes.subarray(1));
    await expect(verifyFolder(diskFolder(folder), manifest!, ignore, signal)).rejects.toEqual(code('model/file'));
  });
});

describe('the cache of transformers.js', () => {
  const cacheOf = (contents: Readonly<Record<string, Uint8Array>>) => (cache: string) => {
    expect(cache).toBe('transformers-cache');
    const match = (key: unknown): Promise<Response | undefined> => {
      const bytes = contents[key as string] as Uint8Array<ArrayBuffer> | undefined;
      return Promise.resolve(bytes && new Response(bytes));
    };
    return Promise.resolve({ match });
  };

  it('gives the files it has, whole and right ones only', async () => {
    const { plan, source } = await planHub(name, 'owner/tiny', null, access(), signal);
    const key = (path: string): string => `${hub.address}/owner/tiny/resolve/main/${path}`;
    expect(transformersKeys(plan.origin!, 'config.json')).toEqual([
      key('config.json'),
      key('config.json').replace('main', plan.origin!.commit),
    ]);
    const taken: string[] = [];
    const wrong = sample.model.slice();
    wrong[0] ^= 1;
    const open = cacheOf({ [key('onnx/model_q4.onnx_data')]: sample.data, [key('onnx/model_q4.onnx')]: wrong });
    hub.seen.length = 0;
    await fillFolder(
      diskFolder(folder),
      plan,
      withTransformersCache(source, plan, open, (file) => taken.push(file)),
      ignore,
      signal,
    );
    expect(taken).toEqual(['onnx/model_q4.onnx_data']);
    expect(hub.rangesOf('model_q4.onnx_data')).toEqual([]);
    expect(hub.rangesOf('model_q4.onnx')).not.toEqual([]);
    expect((await openModel(openFolder(folder))).spec).toEqual(golden.spec);
  });
});
