import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { embeddedModel } from '../../scripts/embedded-model.ts';
import { safetensorsHeader, writeSafetensors, parseSafetensors, tensorF32 } from '../formats/safetensors.ts';
import { openFolder } from '../store/folder.ts';
import type { FileAccess } from './files.ts';
import { knownModel, knownShape } from './known.ts';
import { openModel } from './model.ts';

const golden = new URL('../../test/goldens/qwen2/', import.meta.url);
const config = readFileSync(new URL('config.json', golden));
const weights = new Uint8Array(readFileSync(new URL('model.safetensors', golden)));

/** Files in memory that keep an account of what was read. */
function memory(
  contents: Readonly<Record<string, Uint8Array | string>>,
): FileAccess & { read: FileAccess['read']; log: [string, number, number][] } {
  const bytes = new Map(
    Object.entries(contents).map(([name, value]) => [
      name,
      typeof value === 'string' ? new TextEncoder().encode(value) : new Uint8Array(value),
    ]),
  );
  const log: [string, number, number][] = [];
  return {
    name: 'memory',
    log,
    size: (path) => Promise.resolve(bytes.get(path)?.length ?? null),
    read(path, start, end) {
      log.push([path, start, end]);
      return Promise.resolve(bytes.get(path)!.slice(start, end));
    },
  };
}

const code = (name: string, part = ''): unknown =>
  expect.objectContaining({ code: name, message: expect.stringContaining(part) as string });

/** The golden's tensors in two files, and the index that says so. */
function shards(change: (index: Record<string, string>) => void = () => undefined): Record<string, Uint8Array | string> {
  const tensors = [...parseSafetensors(weights, 'x')].map(([name, entry]) => ({
    name,
    shape: entry.shape,
    data: tensorF32(weights, entry),
  }));
  const half = tensors.length >> 1;
  const names = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  const index = Object.fromEntries(tensors.map(({ name }, i) => [name, names[i < half ? 0 : 1]]));
  change(index);
  return {
    'config.json': config,
    [names[0]]: writeSafetensors(tensors.slice(0, half)),
    [names[1]]: writeSafetensors(tensors.slice(half)),
    'model.safetensors.index.json': JSON.stringify({ metadata: {}, weight_map: index }),
  };
}

describe('opening a model', () => {
  it('reads headers and samples, never the whole file', async () => {
    const big = new Uint8Array(1_000_000);
    const header = safetensorsHeader([{ name: 'extra', dtype: 'F16', shape: [500_000] }]);
    const files = memory({ 'config.json': config, 'model.safetensors': new Uint8Array([...header, ...big]) });
    await expect(openModel(files)).rejects.toEqual(code('model/tensor-missing'));
    expect(Math.max(...files.log.map(([, start, end]) => end - start))).toBeLessThanOrEqual(65536);
  });

  it('reads tensor data by ranges', async () => {
    const files = memory({ 'config.json': config, 'model.safetensors': weights });
    const { source, spec, notes, tokenizer } = await openModel(files);
    expect(spec.family).toBe('qwen2');
    expect(tokenizer).toBeNull();
    expect(notes.join()).toContain('tokenizer.json');
    const entry = parseSafetensors(weights, 'x').get('model.norm.weight')!;
    expect(await source.read('model.norm.weight', 4, 12)).toEqual(weights.slice(entry.start + 4, entry.start + 12));
    await expect(source.read('model.norm.weight', 0, entry.end - entry.start + 1)).rejects.toEqual(code('internal'));
  });

  it('joins shards, and sees the same tensors', async () => {
    const whole = await openModel(memory({ 'config.json': config, 'model.safetensors': weights }));
    const parts = await openModel(memory(shards()));
    expect([...parts.source.tensors].sort()).toEqual([...whole.source.tensors].sort());
    for (const [name, { shape }] of whole.source.tensors) {
      const end = 4 * shape.reduce((a, b) => a * b, 1);
      expect(await parts.source.read(name, 0, end)).toEqual(await whole.source.read(name, 0, end));
    }
    expect(parts.source.identity).not.toBe(whole.source.identity);
  });

  it('gives equal weights one identity and others another, wherever they lie', async () => {
    const identity = async (bytes: Uint8Array): Promise<string> =>
      (await openModel(memory({ 'config.json': config, 'model.safetensors': bytes }))).source.identity;
    expect(await identity(weights)).toBe(await identity(weights.slice()));
    const changed = weights.slice();
    changed[changed.length - 1] ^= 1;
    expect(await identity(changed)).not.toBe(await identity(weights));
  });

  it.each<[string, Record<string, Uint8Array | string>, unknown]>([
    ['no config', {}, code('model/not-found', 'config.json')],
    ['no weights', { 'config.json': config }, code('model/not-found', 'safetensors')],
    ['a config that is no JSON', { 'config.json': '{' }, code('model/file', 'JSON')],
    ['a config with a key twice', { 'config.json': '{"a":1,"a":2}' }, code('model/file', 'twice')],
    ['deep JSON', { 'config.json': '['.repeat(1_000_000) }, code('model/file', 'deep')],
    ['truncated weights', { 'config.json': config, 'model.safetensors': weights.slice(0, -1) }, code('model/file', 'model.safetensors')],
    ['five bytes', { 'config.json': config, 'model.safetensors': weights.slice(0, 5) }, code('model/file', 'too few')],
    ['an index without a map', { 'config.json': config, 'model.safetensors.index.json': '{}' }, code('model/file', 'weight_map')],
    ['an index that leads out', shards((index) => (index['a'] = '../../secret.safetensors')), code('model/file', 'not a safetensors file')],
    ['an index that names a missing shard', shards((index) => (index['a'] = 'model-00003.safetensors')), code('model/file', 'not there')],
    ['an index that lies', shards((index) => (index['a'] = 'model-00001-of-00002.safetensors')), code('model/file', 'not in it')],
    ['a wrong tokenizer', { 'config.json': config, 'model.safetensors': weights, 'tokenizer.json': '{}' }, code('model/tokenizer')],
  ])('says what is wrong with %s', async (_, contents, error) => {
    await expect(openModel(memory(contents))).rejects.toEqual(error);
  });

  it('refuses needed tensors of other dtypes, and reports tensors it does not know', async () => {
    const entries = [...parseSafetensors(weights, 'x')];
    const as = (dtype: string): Uint8Array => {
      const header = safetensorsHeader([
        ...entries.map(([name, { shape }]) => ({ name, shape, dtype: name === 'model.norm.weight' ? dtype : 'F32' })),
        { name: 'vision.patch', shape: [1], dtype: 'F32' },
      ]);
      const data = entries.map(([, { start, end }]) => weights.subarray(start, end));
      return new Uint8Array(Buffer.concat([header, ...data, new Uint8Array(4)]));
    };
    await expect(openModel(memory({ 'config.json': config, 'model.safetensors': as('I32') }))).rejects.toEqual(code('model/file', 'I32'));
    const { notes } = await openModel(memory({ 'config.json': config, 'model.safetensors': as('F32') }));
    expect(notes.join()).toContain('vision.patch');
  });

  it.each(['', 'language_model.model.', 'model.language_model.'])('finds the text model under the prefix %j', async (prefix) => {
    const tensors = [...parseSafetensors(weights, 'x')].map(([name, entry]) => ({
      name: name.replace(/^model\./, prefix),
      shape: entry.shape,
      data: tensorF32(weights, entry),
    }));
    const { source, notes } = await openModel(memory({ 'config.json': config, 'model.safetensors': writeSafetensors(tensors) }));
    expect(source.tensors.has('model.layers.0.self_attn.q_proj.weight')).toBe(true);
    expect(notes).toHaveLength(1);
  });

  it('adds the end tokens of generation_config.json', async () => {
    const files = { 'config.json': config, 'model.safetensors': weights, 'generation_config.json': '{"eos_token_id":[7,2]}' };
    expect((await openModel(memory(files))).spec.eosIds).toEqual([2, 7]);
  });
});

describe('the embedded model', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await embeddedModel();
  });

  it('opens, is the known one, and has a fingerprint', async () => {
    const { spec, tokenizer, fingerprint, notes, weightBytes } = await openModel(openFolder(folder));
    expect(notes).toEqual([]);
    expect(spec).toEqual(knownShape(knownModel('stories15M')!).spec);
    expect(weightBytes).toBe(60_772_936);
    expect(tokenizer?.vocabSize).toBe(spec.vocab);
    expect(fingerprint?.tokens).toEqual(tokenizer?.encode('Once upon a time, there was a little girl named Lily.'));
  });

  it('has the fingerprint of the goldens', async () => {
    const { fingerprint } = await openModel(openFolder(folder));
    const bytes = readFileSync(new URL('../../test/goldens/real_stories15M/expected.safetensors', import.meta.url));
    const entries = parseSafetensors(bytes, 'expected.safetensors');
    const [ids, logits] = ['top_ids', 'top_logits'].map((name) => tensorF32(bytes, entries.get(`${name}.base.0`)!));
    const at = (fingerprint!.tokens.length - 1) * 20;
    expect([...ids.subarray(at, at + fingerprint!.ids.length)]).toEqual(fingerprint!.ids);
    fingerprint!.logits.forEach((logit, i) => expect(logits[at + i]).toBeCloseTo(logit, 3));
  });
});
