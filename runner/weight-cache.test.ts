import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { createOnnxEngine } from '../src/engine/onnx/index.ts';
import { openModel } from '../src/model/model.ts';
import { openPackedWeights } from '../src/model/packed-cache.ts';
import { packedLayout } from '../src/model/packed-weights.ts';
import { packRows } from '../src/model/packed-rows.ts';
import type { WeightSource } from '../src/model/weights.ts';
import { openFolder } from '../src/store/folder.ts';
import { execute, golden, Scratch } from '../test/cli.ts';
import { nodeOnnxRuntime } from './onnx-host.ts';
import { packedOnDisk } from './packed-disk.ts';
import { listPacked, partOf, removePacked } from './packed-files.ts';
import { openCachedWeights, type CacheableModel } from './weight-cache.ts';

const scratch = new Scratch();
process.env.XDG_CACHE_HOME = join(scratch.folder, 'cache');
afterAll(() => scratch.remove());

const folder = join(scratch.folder, 'model');
const signal = new AbortController().signal;
const silent = () => Promise.resolve('moved by nothing');

beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(join(scratch.folder, 'cache'), { recursive: true, force: true });
  cpSync(golden('llama_gqa_tied'), folder, { recursive: true });
});

const open = async (): Promise<CacheableModel> => ({ ...(await openModel(openFolder(folder))), place: { folder } });
const hidden = (): string[] =>
  existsSync(join(folder, '.tiller')) ? readdirSync(join(folder, '.tiller')).map((name) => join(folder, '.tiller', name)) : [];

/** Reads every matrix as engines do: in order, some rows at a time. */
async function readAll(source: WeightSource, model: CacheableModel, step = 7): Promise<Uint8Array[]> {
  const out: Uint8Array[] = [];
  for (const { name, kind, rows } of packedLayout(model.spec, model.source, 'q4')) {
    for (let first = 0; first < rows; first += step) {
      const packed = await source.packed?.(name, kind, first, Math.min(step, rows - first));
      if (!packed) throw new Error(`${name} is not packed`);
      out.push(packed.data, new Uint8Array(packed.scales.buffer, packed.scales.byteOffset, packed.scales.byteLength));
    }
  }
  return out;
}

async function pack(): Promise<{ readonly path: string; readonly rows: Uint8Array[] }> {
  const model = await open();
  const weights = await openCachedWeights(model, 'q4', 'always', silent, signal);
  expect(weights.reads).toBeNull();
  const rows = await readAll(weights.source, model);
  expect(await weights.finish()).toContain('are kept in');
  const [path] = hidden();
  return { path, rows };
}

describe('packed weights', () => {
  it('are written while they are packed, beside the source, and read back bit for bit', async () => {
    const { path, rows } = await pack();
    expect(hidden()).toHaveLength(1);
    const model = await open();
    const weights = await openCachedWeights(model, 'q4', 'always', () => Promise.reject(new Error('measured again')), signal);
    expect(weights.reads).toBe(path);
    expect(weights.note).toBe('moved by nothing');
    expect(await readAll(weights.source, model)).toEqual(rows);
    const [first] = packedLayout(model.spec, model.source, 'q4');
    const info = model.source.tensors.get(first.name)!;
    const direct = await packRows(model.source, info, first.kind, 3, 5);
    expect(await weights.source.packed?.(first.name, first.kind, 3, 5)).toEqual(direct);
    await weights.finish();
  });

  it('give an engine the same tokens as without', async () => {
    const runtime = await nodeOnnxRuntime();
    const tokens: number[][] = [];
    for (const mode of ['off', 'always', 'always'] as const) {
      const model = await open();
      const weights = await openCachedWeights(model, 'q4', mode, silent, signal);
      const engine = await createOnnxEngine(model.spec, weights.source, runtime, { quantization: 'q4', threads: 1, now: () => 0 });
      await weights.finish();
      const made: number[] = [];
      for await (const step of engine.generate({ prompt: [1, 17, 5], lanes: [{}], maxTokens: 8, stop: [] }))
        made.push(step.lanes[0]!.token);
      tokens.push(made);
      await engine.dispose();
    }
    expect(hidden()).toHaveLength(1);
    expect(tokens[1]).toEqual(tokens[0]);
    expect(tokens[2]).toEqual(tokens[0]);
  });

  it('are made anew when the source was touched, and when its weights are others', async () => {
    const { path } = await pack();
    const weights = join(folder, 'model.safetensors');
    utimesSync(weights, new Date(), new Date(Date.now() + 5000));
    const touched = await openCachedWeights(await open(), 'q4', 'always', silent, signal);
    expect(touched.reads).toBeNull();
    await touched.discard();
    expect(existsSync(path)).toBe(false);
    const { path: second } = await pack();
    const { mtime, atime } = statSync(weights);
    const file = openSync(weights, 'r+');
    writeSync(file, new Uint8Array([1, 2, 3, 4]), 0, 4, statSync(weights).size - 4);
    closeSync(file);
    utimesSync(weights, atime, mtime);
    const changed = await openCachedWeights(await open(), 'q4', 'always', silent, signal);
    expect(changed.reads).toBeNull();
    await changed.discard();
    expect(second).not.toBe('');
  });

  it.each([
    ['cut short', (path: string) => ({ path, bytes: readFileSync(path).subarray(0, -10) })],
    ['empty', (path: string) => ({ path, bytes: new Uint8Array(0) })],
    ['nonsense', (path: string) => ({ path, bytes: new Uint8Array(5000).fill(123) })],
  ])('that are %s are packed anew', async (_, damage) => {
    const { path } = await pack();
    const { bytes } = damage(path);
    scratch.write(join('model', '.tiller', basename(path)), bytes);
    const again = await openCachedWeights(await open(), 'q4', 'always', silent, signal);
    expect(again.reads).toBeNull();
    await again.discard();
  });

  it('whose bytes have changed are found by their checksum', async () => {
    const { path } = await pack();
    const file = openSync(path, 'r+');
    writeSync(file, new Uint8Array([99, 98, 97]), 0, 3, statSync(path).size - 20000);
    closeSync(file);
    const model = await open();
    const weights = await openCachedWeights(model, 'q4', 'always', silent, signal);
    await expect(readAll(weights.source, model)).rejects.toMatchObject({ code: 'model/packed-damaged' });
    await weights.discard();
  });

  it('that were not read whole are not kept', async () => {
    const model = await open();
    const weights = await openCachedWeights(model, 'q4', 'always', silent, signal);
    const [first] = packedLayout(model.spec, model.source, 'q4');
    await weights.source.packed?.(first.name, first.kind, 0, 4);
    expect(await weights.finish()).toContain('was not read whole');
    expect(hidden()).toEqual([]);
  });

  it('go to the cache folder where the source cannot be written, and are listed and removed', async () => {
    // A file in the way of the folder: stands for a folder without the right to write, which root has everywhere.
    scratch.write('model/.tiller', 'in the way');
    const model = await open();
    const weights = await openCachedWeights(model, 'q4', 'always', silent, signal);
    await readAll(weights.source, model);
    expect(await weights.finish()).toContain(join(scratch.folder, 'cache', 'tiller', 'packed', 'files'));
    const [listed, ...others] = await listPacked();
    expect(others).toEqual([]);
    expect(listed).toMatchObject({ source: folder, quantization: 'q4' });
    expect(listed.bytes).toBeGreaterThan(0);
    const again = await openCachedWeights(await open(), 'q4', 'always', silent, signal);
    expect(again.reads).toBe(listed.path);
    await again.finish();
    await removePacked(listed.path);
    expect(await listPacked()).toEqual([]);
  });

  it('leave nothing when a disk is full, and the model loads all the same', async () => {
    // Every write to this device fails as on a full disk.
    if (!existsSync('/dev/full')) return;
    const model = await open();
    const origin = { identity: model.source.identity, quantization: 'q4' as const, files: [] };
    const target = join(folder, 'packed.safetensors');
    symlinkSync('/dev/full', partOf(target));
    const stores = [packedOnDisk(target, folder, 'q4')];
    const weights = await openPackedWeights({ ...model, origin, stores, describe: silent, crc32, anew: false });
    expect((await readAll(weights.source, model)).length).toBeGreaterThan(0);
    expect(await weights.finish()).toBe('the packed weights were not kept: the disk is full');
    expect(existsSync(target)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes('.part-'))).toEqual([]);
  });

  it('of a process killed while it writes leave no file of that name, and the next one clears up', async () => {
    const script = join(scratch.folder, 'writer.mts');
    const here = new URL('.', import.meta.url).pathname;
    scratch.write(
      'writer.mts',
      `import { openCachedWeights } from ${JSON.stringify(join(here, 'weight-cache.ts'))};
       import { openModel } from ${JSON.stringify(join(here, '../src/model/model.ts'))};
       import { openFolder } from ${JSON.stringify(join(here, '../src/store/folder.ts'))};
       import { openPackedWeights } from '../src/model/packed-cache.ts';
import { packedLayout } from ${JSON.stringify(join(here, '../src/model/packed-weights.ts'))};
       const folder = ${JSON.stringify(folder)};
       const files = await openModel(openFolder(folder));
       const weights = await openCachedWeights({ ...files, place: { folder } }, 'q4', 'always', async () => '', new AbortController().signal);
       const [first] = packedLayout(files.spec, files.source, 'q4');
       await weights.source.packed(first.name, first.kind, 0, 8);
       process.stdout.write('writing');
       setInterval(() => {}, 1000);`,
    );
    const child = spawn(process.execPath, ['--import', 'tsx', script], { cwd: here, env: process.env });
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (text: Buffer) => text.toString().includes('writing') && resolve());
      child.on('error', reject);
      child.on('close', () => reject(new Error('it ended before it wrote')));
    });
    child.removeAllListeners('close');
    const gone = new Promise((resolve) => child.on('close', resolve));
    child.kill('SIGKILL');
    await gone;
    expect(hidden().map((path) => path.includes('.part-'))).toEqual([true]);
    await pack();
    expect(hidden().map((path) => path.includes('.part-'))).toEqual([false]);
  });
});

describe('on the command line', () => {
  it('the second start says that it reads packed weights, and writes the same tokens', async () => {
    process.env.TILLER_WEIGHT_CACHE = 'always';
    const ids = scratch.json('ids.json', [[1, 17, 5]]);
    const run = async (...more: string[]) => {
      const words = ['generate', '--model', folder, '--engine', 'onnx', '--quantize', 'q4', '--tokens', ids, '--max-tokens', '6', '--json'];
      return execute([...words, ...more]);
    };
    const results = [await run('--no-weight-cache'), await run(), await run()];
    expect(results[0].stderr).not.toContain('packed');
    expect(results[1].stderr).toContain('packed weights');
    expect(results[2].stderr).toContain('packed weights are read from');
    expect(new Set(results.map(({ stdout }) => stdout)).size).toBe(1);
    const listed = await execute(['models', 'list', '--json']);
    expect(listed.stdout).toContain('"packed":[{');
    expect((await execute(['models', 'unpack', 'all'])).status).toBe(0);
    expect(hidden()).toEqual([]);
  });
});
