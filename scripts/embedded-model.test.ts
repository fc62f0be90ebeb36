import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseSafetensors, tensorF32 } from '../src/formats/safetensors.ts';
import { openModel } from '../src/model/model.ts';
import { openFolder } from '../src/store/folder.ts';
import { convertLlama2c, halfSplitRows } from './llama2c.ts';
import { writeRandomModel } from './random-weights.ts';
import { extractMember } from './tar.ts';

function tarHeader(name: string, size: number, type = '0', prefix = ''): Uint8Array {
  const block = new Uint8Array(512);
  const put = (text: string, at: number): void => block.set(new TextEncoder().encode(text), at);
  put(name, 0);
  put(size.toString(8).padStart(11, '0'), 124);
  put('        ', 148);
  put(type, 156);
  put('ustar\u000000', 257);
  put(prefix, 345);
  const sum = block.reduce((a, b) => a + b, 0);
  put(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148);
  return block;
}

const body = (text: string): Uint8Array => {
  const out = new Uint8Array(Math.ceil(text.length / 512) * 512);
  out.set(new TextEncoder().encode(text));
  return out;
};
const archive = new Uint8Array(
  Buffer.concat([
    tarHeader('pax', 600, 'x'),
    body('p'.repeat(600)),
    tarHeader('package/one', 3),
    body('one'),
    tarHeader('two', 700, '0', 'package/deep'),
    body('2'.repeat(700)),
    tarHeader('package/empty', 0),
    new Uint8Array(1024),
  ]),
);

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

const member = async (name: string, bytes = archive, limit = 1000, size = 100): Promise<string> =>
  new TextDecoder().decode(await extractMember(inChunks(bytes, size), name, limit, 'a.tgz'));

describe('tar', () => {
  it.each([1, 7, 512, 513, 100_000])('finds members in chunks of %i bytes', async (size) => {
    expect(await member('package/one', archive, 1000, size)).toBe('one');
    expect(await member('package/deep/two', archive, 1000, size)).toBe('2'.repeat(700));
    expect(await member('package/empty', archive, 1000, size)).toBe('');
  });

  it('says what is wrong', async () => {
    await expect(member('package/three')).rejects.toThrow('is not in it');
    await expect(member('package/deep/two', archive, 699)).rejects.toThrow('at most 699');
    await expect(member('package/deep/two', archive.subarray(0, -1024 - 512 - 400))).rejects.toThrow('ends inside');
    const damaged = archive.slice();
    damaged[0] ^= 1;
    await expect(member('package/one', damaged)).rejects.toThrow('damaged');
  });
});

describe('llama2.c checkpoints', () => {
  it('have their rows taken apart into halves, head by head', () => {
    const rows = Float32Array.from([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([...halfSplitRows(rows, 2, 1)]).toEqual([0, 2, 1, 3, 4, 6, 5, 7]);
  });

  it('become named tensors', () => {
    const [hidden, intermediate, layers, heads, kvHeads, vocab, positions] = [8, 6, 2, 2, 1, 5, 4];
    const kv = 4;
    const floats =
      vocab * hidden + layers * (2 * hidden + 2 * hidden * hidden + 2 * kv * hidden + 3 * hidden * intermediate) + hidden + positions * 4;
    const file = new Uint8Array(28 + 4 * floats);
    new Int32Array(file.buffer, 0, 7).set([hidden, intermediate, layers, heads, kvHeads, vocab, positions]);
    new Float32Array(file.buffer, 28).set(Float32Array.from({ length: floats }, (_, i) => i));
    const { safetensors, config } = convertLlama2c(file);
    const tensors = parseSafetensors(safetensors, 'x');
    expect(config).toMatchObject({ hidden_size: 8, num_key_value_heads: 1, head_dim: 4, tie_word_embeddings: true });
    expect(tensors.size).toBe(2 + 9 * layers);
    const first = (name: string): number => tensorF32(safetensors, tensors.get(name)!)[0];
    expect(first('model.layers.1.input_layernorm.weight')).toBe(vocab * hidden + hidden);
    expect(first('model.layers.0.self_attn.q_proj.weight')).toBe(vocab * hidden + layers * hidden);
    // w1, w2, w3 of llama2.c are gate, down, up.
    const mlp = vocab * hidden + layers * (2 * hidden + 2 * hidden * hidden + 2 * kv * hidden);
    expect(first('model.layers.0.mlp.gate_proj.weight')).toBe(mlp);
    expect(first('model.layers.0.mlp.down_proj.weight')).toBe(mlp + layers * hidden * intermediate);
    expect(first('model.layers.0.mlp.up_proj.weight')).toBe(mlp + 2 * layers * hidden * intermediate);
    expect(() => convertLlama2c(file.subarray(0, -4))).toThrow(expect.objectContaining({ code: 'model/file' }));
  });
});

describe('random weights', () => {
  it('are a model that opens, the same for the same seed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tiller-random-'));
    try {
      const config = {
        num_hidden_layers: 2,
        hidden_size: 48,
        intermediate_size: 40,
        vocab_size: 77,
        head_dim: 6,
        sliding_window_pattern: 2,
      };
      const hashes: string[] = [];
      for (const seed of [1, 1, 2]) {
        await writeRandomModel('gemma-3-1b', folder, { seed, config });
        hashes.push(
          createHash('sha256')
            .update(await readFile(join(folder, 'model.safetensors')))
            .digest('hex'),
        );
      }
      expect(hashes[0]).toBe(hashes[1]);
      expect(hashes[2]).not.toBe(hashes[0]);
      const { spec, source } = await openModel(openFolder(folder));
      expect(spec).toMatchObject({ family: 'gemma3_text', layers: 2, heads: 4, vocab: 77 });
      expect(source.tensors.get('model.norm.weight')?.dtype).toBe('BF16');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
