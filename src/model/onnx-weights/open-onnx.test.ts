import { describe, expect, it } from 'vitest';
import { goldenModel, memoryFiles } from '../../../test/weights/golden-weights.ts';
import { onnxSample, type OnnxSample, type SampleOptions } from '../../../test/weights/onnx-sample.ts';
import { f16ToF32, f32ToF16 } from '../../formats/float16.ts';
import { decodeF32 } from '../../formats/safetensors.ts';
import type { FileAccess } from '../files.ts';
import { openModel, type ModelFiles } from '../model.ts';

const nbits = { kind: 'nbits', bits: 4, block: 32, zeros: false, half: true, named: 'default' } as const;

/** Layouts of published exports: who made them, on which golden model. */
const samples: Readonly<Record<string, { readonly golden: string; readonly options: SampleOptions; readonly kind: string }>> = {
  'int4 as the default quantiser writes it, scales of both signs': {
    golden: 'llama_gqa_tied',
    options: { layout: 'builder', matrix: nbits },
    kind: 'int4 symmetric in 32',
  },
  'int4 with zero points under RTN and k-quant names': {
    golden: 'llama_gqa_tied',
    options: { layout: 'builder', matrix: { ...nbits, zeros: true, half: false, named: 'rtn' } },
    kind: 'int4 with zero points in 32',
  },
  'int4 with zero points under AWQ names, blocks of 16, flat lists': {
    golden: 'qwen2',
    options: { layout: 'builder', matrix: { ...nbits, block: 16, zeros: true, named: 'awq', flat: true } },
    kind: 'int4 with zero points in 16',
  },
  'int8 in blocks, q, k and v in one product with biases': {
    golden: 'qwen2',
    options: { layout: 'builder', fusedQkv: true, matrix: { ...nbits, bits: 8, zeros: true } },
    kind: 'int8 with zero points in 32',
  },
  'the embedding is the quantised head': {
    golden: 'llama_gqa_tied',
    options: { layout: 'builder', sharedEmbedding: true, matrix: { ...nbits, zeros: true } },
    kind: 'int4 with zero points in 32',
  },
  'weights in another file': {
    golden: 'llama_odd_sizes',
    options: { layout: 'builder', external: 'model.onnx_data', matrix: nbits },
    kind: 'int4 symmetric in 32',
  },
  'Gemma 3 with its 1 in the norms': { golden: 'gemma3', options: { layout: 'builder', matrix: nbits }, kind: 'int4 symmetric in 32' },
  'q4f16: norms in f32, with Casts around them': {
    golden: 'llama_gqa_tied',
    options: { layout: 'builder', casts: true, matrix: nbits },
    kind: 'int4 symmetric in 32',
  },
  'Gemma 3 in q4f16, with Casts and asymmetric zero points': {
    golden: 'gemma3',
    options: { layout: 'builder', casts: true, matrix: { ...nbits, zeros: true } },
    kind: 'int4 with zero points in 32',
  },
  'Gemma 3 written out': {
    golden: 'gemma3',
    options: { layout: 'plain', matrix: { kind: 'float', half: false } },
    kind: 'F32',
  },
  'f16, written out': { golden: 'llama_gqa_tied', options: { layout: 'plain', matrix: { kind: 'float', half: true } }, kind: 'F16' },
  'dynamic int8, a scale a tensor': {
    golden: 'llama_attention_bias',
    options: { layout: 'plain', matrix: { kind: 'dynamic', signed: true, channels: false } },
    kind: 'int8 a tensor',
  },
  'dynamic uint8, a scale a channel': {
    golden: 'qwen2',
    options: { layout: 'plain', matrix: { kind: 'dynamic', signed: false, channels: true } },
    kind: 'int8 an axis',
  },
  'uint4 in blocks before plain products': {
    golden: 'mistral_window',
    options: { layout: 'plain', matrix: { kind: 'dequantize', block: 32 } },
    kind: 'int4 in 32',
  },
};

function filesOf(golden: string, { model, data }: OnnxSample, options: SampleOptions): FileAccess {
  const config = JSON.stringify(goldenModel(golden).config);
  return memoryFiles({
    'config.json': config,
    'onnx/model.onnx': model,
    ...(options.external ? { [`onnx/${options.external}`]: data } : {}),
  });
}

/** All values of a tensor, read in pieces that do not end where rows do. */
async function valuesOf({ source }: ModelFiles, name: string): Promise<Float32Array> {
  const info = source.tensors.get(name)!;
  const size = { F32: 4, F16: 2, BF16: 2 }[info.dtype];
  const bytes = info.shape.reduce((product, length) => product * length, size);
  const step = size * 997;
  const out = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += step) out.set(await source.read(name, at, Math.min(bytes, at + step)), at);
  return decodeF32(out, info.dtype, name);
}

/** Comparing whole arrays one by one is slow in `expect`. */
function firstDifference(got: Float32Array, expected: Float32Array): string | null {
  if (got.length !== expected.length) return `${got.length} values, expected ${expected.length}`;
  const at = got.findIndex((value, i) => value !== expected[i]);
  return at < 0 ? null : `at ${at}: ${got[at]}, expected ${expected[at]}`;
}

const made = (golden: string, options: SampleOptions): OnnxSample => {
  const model = goldenModel(golden);
  return onnxSample(model.spec, (name) => model.weights(name), options);
};

describe('ONNX exports', () => {
  it.each(Object.entries(samples))('%s', async (_, { golden, options, kind }) => {
    const sample = made(golden, options);
    const files = await openModel(filesOf(golden, sample, options));
    expect(files.stored[0]).toBe(kind);
    expect([...files.source.tensors.keys()].sort()).toEqual([...sample.expected.keys()].sort());
    for (const [name, expected] of sample.expected) {
      const half = files.source.tensors.get(name)?.dtype === 'F16';
      expect(firstDifference(await valuesOf(files, name), half ? f16ToF32(f32ToF16(expected)) : expected), name).toBeNull();
    }
  });

  it('has scales of both signs in its symmetric sample', () => {
    const values = goldenModel('llama_gqa_tied').weights('model.layers.0.self_attn.q_proj.weight');
    const signs = new Set<number>();
    for (let at = 0; at < values.length; at += 32) {
      const block = values.subarray(at, at + 32);
      signs.add(Math.sign(block.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0)));
    }
    expect(signs).toEqual(new Set([1, -1]));
  });
});
