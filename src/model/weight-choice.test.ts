import { describe, expect, it } from 'vitest';
import { chooseWeights, weightVariants, type WeightVariant } from './weight-choice.ts';

const listing = (files: Readonly<Record<string, number>>) => Object.entries(files).map(([path, bytes]) => ({ path, bytes }));
const summary = (variants: readonly WeightVariant[]) => variants.map(({ name, path, bytes }) => [name, path, bytes]);

/** As published exports of one decoder have it. */
const exports = listing({
  'config.json': 1,
  'onnx/model.onnx': 3e5,
  'onnx/model.onnx_data': 2e9,
  'onnx/model.onnx_data_1': 1e9,
  'onnx/model_bnb4.onnx': 8e8,
  'onnx/model_fp16.onnx': 3e5,
  'onnx/model_fp16.onnx_data': 1.8e9,
  'onnx/model_q4.onnx': 3e5,
  'onnx/model_q4.onnx_data': 8.6e8,
  'onnx/model_q4f16.onnx': 3e5,
  'onnx/model_q4f16.onnx_data': 7.6e8,
});

describe('the weights of a repository', () => {
  it('are safetensors before all else, in shards with their index', () => {
    const shards = { 'model.safetensors.index.json': 10, 'model-00001-of-00002.safetensors': 5e9, 'model-00002-of-00002.safetensors': 3e9 };
    const variants = weightVariants([...exports, ...listing({ ...shards, 'consolidated.safetensors': 8e9 })]);
    expect(summary(variants)[0]).toEqual(['safetensors', 'model.safetensors.index.json', 8e9 + 10]);
    expect(chooseWeights(variants, 'x').variant.files).toEqual(Object.keys(shards));
    expect(weightVariants(listing({ 'model.safetensors': 5, ...shards })).map(({ path }) => path)).toEqual(['model.safetensors']);
  });

  it('are else ONNX exports with their data, the best that is not too large', () => {
    const variants = weightVariants(exports);
    expect(summary(variants)).toEqual([
      ['fp32', 'onnx/model.onnx', 3e9 + 3e5],
      ['fp16', 'onnx/model_fp16.onnx', 1.8e9 + 3e5],
      ['q4f16', 'onnx/model_q4f16.onnx', 7.6e8 + 3e5],
      ['q4', 'onnx/model_q4.onnx', 8.6e8 + 3e5],
    ]);
    const { variant, reason } = chooseWeights(variants, 'x');
    expect(variant.files).toEqual(['onnx/model_fp16.onnx', 'onnx/model_fp16.onnx_data']);
    expect(reason).toContain('keeps most of the weights with at most 2.0 GB; others: onnx/model.onnx');
    expect(chooseWeights(variants, 'x', null, 8e8).variant.name).toBe('q4f16');
    expect(chooseWeights(variants, 'x', null, 1e6).reason).toContain('the smallest; all have more than 1 MB');
  });

  it('are else GGUF files, parts counted as one', () => {
    const variants = weightVariants(
      listing({
        'a-Q4_K_M.gguf': 7e8,
        'a.Q8_0.gguf': 1.2e9,
        'big/a-F16-00001-of-00002.gguf': 2e9,
        'big/a-F16-00002-of-00002.gguf': 1e9,
        'a-IQ1_S.gguf': 3e8,
        'mmproj-a-F16.gguf': 5e8,
      }),
    );
    expect(summary(variants)).toEqual([
      ['F16', 'big/a-F16-00001-of-00002.gguf', 3e9],
      ['Q8_0', 'a.Q8_0.gguf', 1.2e9],
      ['Q4_K_M', 'a-Q4_K_M.gguf', 7e8],
      ['GGUF', 'a-IQ1_S.gguf', 3e8],
    ]);
    expect(chooseWeights(variants, 'x').variant.name).toBe('Q8_0');
    expect(chooseWeights(variants, 'x', 'F16').variant.files).toHaveLength(2);
  });

  it('can be named by path, by name, by kind or by part; what is unclear or not there is refused with what there is', () => {
    const variants = weightVariants([...exports, ...listing({ 'a-Q8_0.gguf': 1, 'b-Q8_0.gguf': 1 })]);
    for (const wanted of ['onnx/model_q4.onnx', 'model_q4.onnx', 'Q4', 'onnx/model_q4.onnx_data'])
      expect(chooseWeights(variants, 'x', wanted).variant.name).toBe('q4');
    expect(() => chooseWeights(variants, 'x', 'q8_0')).toThrow('could be a-Q8_0.gguf or b-Q8_0.gguf');
    expect(() => chooseWeights(variants, 'x', 'q3')).toThrow('there are: onnx/model.onnx');
    expect(() => chooseWeights([], 'x')).toThrow('no weights of a known format');
  });
});
