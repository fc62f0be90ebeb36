import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Scratch } from '../../test/cli.ts';
import { writeSparseModel } from '../../test/weights/sparse-model.ts';
import { f32ToBf16Bytes } from '../../test/weights/bf16.ts';
import { openFolder } from '../store/folder.ts';
import { parseConfig } from './config.ts';
import { openModel } from './model.ts';
import { readPackedRows } from './packed-rows.ts';
import { publishedShapes } from './published.ts';
import { dequantizeRows } from './quantize.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

const published = (id: string): Readonly<Record<string, unknown>> => publishedShapes.find((shape) => shape.id === id)!.config;
/** Eight numbers that bfloat16 holds exactly. */
const numbers = Float32Array.from([1, -2, 3.5, -0.25, 96, -112, 0.0078125, 7]);

describe('files beyond 2^31 and 2^32 bytes', () => {
  it('are read at their very end', async () => {
    const config = published('llama-2-7b');
    const folder = join(scratch.folder, 'seven');
    const head = { tensor: 'lm_head.weight', offset: 31999 * 4096 * 2 + 4088 * 2, bytes: f32ToBf16Bytes(numbers) };
    const { shards } = await writeSparseModel(folder, { config, shardBytes: Number.POSITIVE_INFINITY, written: [head] });
    expect(statSync(join(folder, shards[0])).size).toBeGreaterThan(13e9);
    const { source } = await openModel(openFolder(folder));
    const info = source.tensors.get('lm_head.weight')!;
    const packed = await readPackedRows(source, info, 'q8', 31998, 2);
    const values = dequantizeRows(packed, 2, 4096, 'q8');
    expect(values.subarray(0, 8192 - 8).every((value) => value === 0)).toBe(true);
    values.subarray(8192 - 8).forEach((value, i) => expect(Math.abs(value - numbers[i])).toBeLessThan(0.5));
    const raw = await source.read('lm_head.weight', head.offset, head.offset + 16);
    expect(raw).toEqual(head.bytes);
  });

  it('with one tensor of more than 2^32 bytes are read at its end and at its middle', async () => {
    const config = { ...published('llama-3-70b'), vocab_size: 300000, num_hidden_layers: 1 };
    const folder = join(scratch.folder, 'wide');
    const bytes = f32ToBf16Bytes(numbers);
    const place = (row: number) => ({ tensor: 'model.embed_tokens.weight', offset: row * 8192 * 2, bytes });
    const rows = [131071, 262144, 299999];
    await writeSparseModel(folder, { config, shardBytes: 5e9, written: rows.map(place) });
    const { source } = await openModel(openFolder(folder));
    const info = source.tensors.get('model.embed_tokens.weight')!;
    expect(info.shape[0] * info.shape[1] * 2).toBeGreaterThan(2 ** 32);
    for (const row of rows) {
      const raw = await source.read(info.name, row * 16384, row * 16384 + 16);
      expect(raw).toEqual(bytes);
      const packed = await readPackedRows(source, info, 'q4', row, 1);
      expect(dequantizeRows(packed, 1, 8192, 'q4')[5]).toBeCloseTo(-112, 0);
    }
  });
});

describe('a multimodal Gemma 3', () => {
  const outer = {
    architectures: ['Gemma3ForConditionalGeneration'],
    model_type: 'gemma3',
    eos_token_id: [1, 106],
    text_config: {
      hidden_size: 2560,
      intermediate_size: 10240,
      model_type: 'gemma3_text',
      num_hidden_layers: 34,
      rope_scaling: { factor: 8, rope_type: 'linear' },
      sliding_window: 1024,
    },
    vision_config: { hidden_size: 1152, model_type: 'siglip_vision_model', num_hidden_layers: 27 },
  };

  it('has a text part of the published shape, most of which its config leaves unsaid', () => {
    const { bosId, ...said } = parseConfig(outer);
    const { bosId: publishedBos, ...table } = parseConfig(published('gemma-3-4b'));
    expect(said).toEqual(table);
    expect([bosId, publishedBos]).toEqual([null, 2]);
  });

  it.each(['language_model.', 'newer'])('is opened with names that begin with %s, and says what is not used', async (prefix) => {
    const folder = join(scratch.folder, `gemma-${prefix}`);
    const extra = {
      'vision_tower.vision_model.post_layernorm.weight': [1152],
      'multi_modal_projector.mm_input_projection_weight': [1152, 2560],
    };
    const renamed = prefix === 'newer' ? { rename: (name: string) => name.replace(/^model\./, 'model.language_model.') } : { prefix };
    await writeSparseModel(folder, { config: published('gemma-3-4b'), shardBytes: 5e9, extra, ...renamed });
    await writeFile(join(folder, 'config.json'), JSON.stringify(outer));
    const { spec, notes } = await openModel(openFolder(folder));
    expect(spec.family).toBe('gemma3_text');
    expect(notes.join(' ')).toContain('Only the text part is loaded: 2 tensors of the vision part are not used.');
  });
});

describe('weights that cannot be read', () => {
  const folderWith = async (name: string, files: Readonly<Record<string, string>>): Promise<string> => {
    const folder = join(scratch.folder, name);
    await mkdir(folder, { recursive: true });
    for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
    return folder;
  };
  const config = JSON.stringify(published('llama-2-7b'));

  it.each(['pytorch_model-00001-of-00002.bin', 'consolidated.00.pth'])('pickled ones are named, and what to do: %s', async (file) => {
    const folder = await folderWith(`pickled-${file}`, { 'config.json': config, [file]: 'x' });
    await expect(openModel(openFolder(folder))).rejects.toMatchObject({
      code: 'model/pickled-weights',
      message: expect.stringContaining(file) as string,
      fix: expect.stringContaining('save_pretrained') as string,
    });
  });

  it.each([
    (name: string) => name.replace('q_proj', 'W_pack'),
    (name: string) => name.replace('q_proj', 'qkv_proj'),
    (name: string) => name.replace('model.layers', 'layers').replace('self_attn.q_proj', 'attention.wq'),
  ])('fused and foreign layouts are named', async (rename) => {
    const folder = join(scratch.folder, 'fused');
    await writeSparseModel(folder, { config: published('llama-2-7b'), shardBytes: 5e9, rename });
    await expect(openModel(openFolder(folder))).rejects.toMatchObject({
      code: 'model/other-layout',
      fix: expect.stringContaining('-hf') as string,
    });
  });
});

/** A process that packs all matrices of a model and keeps nothing, and says the most memory it had. */
const streaming = (folder: string, here: string): string => `
  import { openModel } from ${JSON.stringify(join(here, 'model.ts'))};
  import { readPackedRows } from ${JSON.stringify(join(here, 'packed-rows.ts'))};
  import { packedLayout } from ${JSON.stringify(join(here, 'packed-weights.ts'))};
  import { openFolder } from ${JSON.stringify(join(here, '../store/folder.ts'))};
  const { spec, source } = await openModel(openFolder(${JSON.stringify(folder)}));
  const before = process.resourceUsage().maxRSS * 1024;
  for (const { name, kind, rows } of packedLayout(spec, source, 'q4')) {
    for (let first = 0; first < rows; first += 1024) {
      await readPackedRows(source, source.tensors.get(name), kind, first, Math.min(1024, rows - first));
    }
  }
  console.log(JSON.stringify({ before, after: process.resourceUsage().maxRSS * 1024 }));`;

describe('packing while loading', () => {
  it('holds far less than two shards, measured on a process of its own', async () => {
    const folder = join(scratch.folder, 'streamed');
    const shardBytes = 405e6;
    const { shards } = await writeSparseModel(folder, { config: { ...published('llama-2-7b'), num_hidden_layers: 2 }, shardBytes });
    expect(shards.length).toBeGreaterThan(2);
    const largest = Math.max(...shards.map((name) => statSync(join(folder, name)).size));
    const script = scratch.write('stream.mts', streaming(folder, new URL('.', import.meta.url).pathname));
    const text = await new Promise<string>((resolve, reject) => {
      const child = spawn(process.execPath, ['--import', 'tsx', script], { cwd: new URL('.', import.meta.url).pathname });
      let out = '';
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      child.on('error', reject);
      child.on('close', (status) => (status === 0 ? resolve(out) : reject(new Error(`it ended with ${status}`))));
    });
    const { before, after } = JSON.parse(text) as { before: number; after: number };
    expect(after - before).toBeLessThan(largest);
    expect(after).toBeLessThan(2 * largest);
  });
});
