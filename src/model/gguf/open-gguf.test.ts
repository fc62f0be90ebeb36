import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goldenModel, memoryFiles } from '../../../test/weights/golden-weights.ts';
import {
  ggufSample as sampleOf,
  type MatrixType,
  sampleTensors,
  sampleVocabulary as vocabulary,
} from '../../../test/weights/gguf-model.ts';
import { encoded, ggufFile, ggufShape, type SampleValue } from '../../../test/weights/gguf-sample.ts';
import { largestArray } from '../../../test/weights/largest-array.ts';
import { readEnds } from '../../../test/weights/read-ends.ts';
import { TillerError } from '../../errors/error.ts';
import { decodeF32 } from '../../formats/safetensors.ts';
import { openModel, type ModelFiles } from '../model.ts';
import { dequantizeRows, quantizeRows } from '../quantize.ts';

const open = (bytes: Uint8Array): Promise<ModelFiles> => openModel(memoryFiles({ 'model.gguf': bytes }));

async function valuesOf({ source }: ModelFiles, name: string): Promise<Float32Array> {
  const info = source.tensors.get(name)!;
  const size = { F32: 4, F16: 2, BF16: 2 }[info.dtype];
  const bytes = info.shape.reduce((product, length) => product * length, size);
  const out = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += size * 997) out.set(await source.read(name, at, Math.min(bytes, at + size * 997)), at);
  return decodeF32(out, info.dtype, name);
}

/** What a type makes of values; scales and integers are ours, so that q8 and q4 of what was read must be the same again. */
function kept(values: Float32Array, cols: number, type: MatrixType): Float32Array {
  const rows = values.length / cols;
  if (type === 'F32') return values;
  if (type === 'F16') return decodeF32(encoded(values, cols, 'F16'), 'F16', 'x');
  const kind = type === 'Q8_0' ? 'q8' : 'q4';
  return dequantizeRows(quantizeRows(values, rows, cols, kind), rows, cols, kind);
}

function firstDifference(got: Float32Array, expected: Float32Array): string | null {
  if (got.length !== expected.length) return `${got.length} values, expected ${expected.length}`;
  const at = got.findIndex((value, i) => value !== expected[i]);
  return at < 0 ? null : `at ${at}: ${got[at]}, expected ${expected[at]}`;
}

const problem = (part: string, code = 'model/file'): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(part) as string });

const models: readonly (readonly [string, string, MatrixType])[] = [
  ['llama_gqa_tied', 'llama', 'Q8_0'],
  ['llama_odd_sizes', 'llama', 'F16'],
  ['llama_attention_bias', 'llama', 'F32'],
  ['mistral_window', 'llama', 'F32'],
  ['qwen2', 'qwen2', 'F32'],
  ['gemma3', 'gemma3', 'F32'],
];

describe('GGUF files', () => {
  it.each(models)('%s as %s in %s: shape and weights are those it was made from', async (golden, arch, type) => {
    const { spec } = goldenModel(golden);
    const { bytes, expected } = sampleOf(golden, arch, type);
    const files = await open(bytes);
    // What GGUF has no key for: Gemma's scalar follows from the size of the head.
    const attentionScale = spec.sandwichNorm ? spec.headDim ** -0.5 : spec.attentionScale;
    expect(files.spec).toEqual({ ...spec, attentionScale, bosId: 1, eosIds: [2] });
    expect([...files.source.tensors.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, { values, cols, type: stored }] of expected) {
      expect(firstDifference(await valuesOf(files, name), kept(values, cols, stored)), name).toBeNull();
    }
  });

  it.each(['Q8_0', 'Q4_0'] as const)('%s keeps its integers and scales through our own form', async (type) => {
    const { bytes } = sampleOf('llama_gqa_tied', 'llama', type);
    const files = await open(bytes);
    const name = 'model.layers.1.self_attn.v_proj.weight';
    const [rows, cols] = files.source.tensors.get(name)!.shape;
    const kind = type === 'Q8_0' ? 'q8' : 'q4';
    const given = goldenModel('llama_gqa_tied').weights(name);
    expect(quantizeRows(await valuesOf(files, name), rows, cols, kind)).toEqual(quantizeRows(given, rows, cols, kind));
    expect(files.suggested).toBe(kind);
  });

  it('finds Llama 3’s rule again in the divisors that stand for it', async () => {
    const { spec } = goldenModel('llama_llama3rope');
    const rope = spec.layerSpecs[0].rope.scaling;
    if (rope?.type !== 'llama3') throw new Error('the golden has no llama3 scaling');
    const more = { 'llama.rope.scaling.original_context_length': rope.originalMaxPositions };
    const usual = rope.lowFreqFactor === 1 && rope.highFreqFactor === 4;
    const opened = open(sampleOf('llama_llama3rope', 'llama', 'F32', more, 'factors').bytes);
    if (usual) expect((await opened).spec.layerSpecs).toEqual(spec.layerSpecs);
    else await expect(opened).rejects.toEqual(expect.objectContaining({ code: 'model/file' }));
  });

  it('reads linear rotary scaling', async () => {
    const more = { 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': { f32: 4 } };
    const { spec } = await open(sampleOf('llama_gqa_tied', 'llama', 'F32', more).bytes);
    expect(spec.layerSpecs[0].rope).toEqual({ theta: 10000, scaling: { type: 'linear', factor: 4 } });
  });

  it('reads a model in parts as it reads one file', async () => {
    const { spec } = goldenModel('llama_gqa_tied');
    const tensors = sampleTensors('llama_gqa_tied', 'llama', 'Q8_0');
    const half = tensors.length >> 1;
    const part = (no: number): Record<string, SampleValue> => ({ 'split.no': no, 'split.count': 2, 'general.architecture': 'llama' });
    const first = ggufFile({ ...ggufShape('llama', spec), ...vocabulary(spec.vocab), ...part(0) }, tensors.slice(0, half));
    const second = ggufFile(part(1), tensors.slice(half));
    const names = ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf'];
    const files = await openModel(memoryFiles({ [names[0]]: first, [names[1]]: second }));
    const whole = await open(sampleOf('llama_gqa_tied', 'llama', 'Q8_0').bytes);
    expect(files.spec).toEqual(whole.spec);
    for (const name of whole.source.tensors.keys()) {
      expect(firstDifference(await valuesOf(files, name), await valuesOf(whole, name)), name).toBeNull();
    }
    await expect(openModel(memoryFiles({ [names[0]]: first }))).rejects.toEqual(problem(names[1], 'model/not-found'));
    await expect(openModel(memoryFiles({ [names[1]]: second }))).rejects.toEqual(problem(`open ${names[0]}`, 'model/not-found'));
    await expect(openModel(memoryFiles({ [names[0]]: first, [names[1]]: first }))).rejects.toEqual(problem('part 0'));
  });

  it('reads the tokenizer', async () => {
    const { tokenizer } = await open(sampleOf('llama_gqa_tied', 'llama', 'F32').bytes);
    expect(tokenizer?.encode('ab')).toEqual([1, 7]);
    expect(tokenizer?.encode('ab</s>', { special: false })).toEqual([7, 2]);
    expect(tokenizer?.decode([1, 7])).toBe('ab');
  });
});

describe('GGUF files that are damaged, lie, or are not for us', () => {
  const { bytes } = sampleOf('llama_gqa_tied', 'llama', 'Q8_0');
  const other = (more: Readonly<Record<string, SampleValue>>): Uint8Array => sampleOf('llama_gqa_tied', 'llama', 'F32', more).bytes;

  it.each([
    ['a file that is cut', bytes.subarray(0, bytes.length - 2000), problem('the file has')],
    ['a header that is cut', bytes.subarray(0, 200), problem('more than its 200 bytes can hold')],
    ['another architecture', other({ 'general.architecture': 'mamba' }), problem('mamba', 'model/unknown-family')],
    ['experts', other({ 'llama.expert_count': 8 }), problem('expert_count')],
    ['rotation of a part of a head', other({ 'llama.rope.dimension_count': 4 }), problem('4 of 8')],
    ['a rotary scaling that is not computed', other({ 'llama.rope.scaling.type': 'yarn' }), problem('yarn')],
    ['tokens without types', other({ 'tokenizer.ggml.token_type': { i32s: [1] } }), problem('token types')],
    ['a token that does not exist', other({ 'tokenizer.ggml.bos_token_id': 99999 }), problem('bos token')],
    ['a part of several', other({ 'split.count': 3 }), problem('parts')],
  ])('refuses %s', async (_, file, error) => {
    await expect(open(file)).rejects.toEqual(error);
  });

  it('goes on without a tokenizer where its rule is not known, and reports keys it did not use', async () => {
    const more = { 'tokenizer.ggml.model': 'gpt2', 'tokenizer.ggml.pre': 'nobody', 'tokenizer.ggml.merges': ['a b'], 'llama.new_thing': 1 };
    const { tokenizer, notes } = await open(other(more));
    expect(tokenizer).toBeNull();
    expect(notes.join()).toContain('nobody');
    expect(notes.join()).toContain('llama.new_thing');
  });

  it('throws nothing but its own errors and makes nothing larger than the file, whatever bytes change', { timeout: 120_000 }, async () => {
    const header = 9000;
    const change = fc.record({ at: fc.nat(header), to: fc.nat(255) });
    const cut = fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(bytes.length) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 5 }), cut, async (changes, end) => {
        const file = bytes.slice(0, end ?? bytes.length);
        for (const { at, to } of changes) if (at < file.length) file[at] = to;
        const largest = await largestArray(async () => {
          const opened = await open(file).catch((error: unknown) => {
            if (!(error instanceof TillerError) || error.code === 'internal') throw error;
          });
          // What opens lies in the file to its last byte.
          if (opened) await readEnds(opened.source);
        });
        expect(largest).toBeLessThanOrEqual(file.length + 2 ** 20);
      }),
      { numRuns: 150 },
    );
  });
});
