import { describe, expect, it } from 'vitest';
import { goldenModel, memoryFiles } from '../../test/weights/golden-weights.ts';
import { ggufFile } from '../../test/weights/gguf-sample.ts';
import { onnxSample } from '../../test/weights/onnx-sample.ts';
import { modelFileNames } from './model-file-names.ts';
import { openModel } from './model.ts';

const golden = goldenModel('llama_gqa_tied');
const config = JSON.stringify(golden.config);

describe('the files of a model', () => {
  it('are config, tokenizer and one safetensors file, or the index and its shards', async () => {
    const one = memoryFiles({ 'config.json': config, 'tokenizer.json': '{}', 'model.safetensors': '', 'README.md': '' });
    expect(await modelFileNames(one)).toEqual(['config.json', 'tokenizer.json', 'model.safetensors']);
    const map = { a: 'model-1.safetensors', b: 'model-2.safetensors', c: 'model-1.safetensors' };
    const index = 'model.safetensors.index.json';
    const shards = memoryFiles({ 'config.json': config, [index]: JSON.stringify({ weight_map: map }) });
    expect(await modelFileNames(shards)).toEqual(['config.json', index, 'model-1.safetensors', 'model-2.safetensors']);
  });

  it('are an ONNX file with the files its weights lie in, and that is all openModel needs', async () => {
    const matrix = { kind: 'nbits', bits: 4, block: 32, zeros: false, half: true, named: 'default' } as const;
    const sample = onnxSample(golden.spec, (name) => golden.weights(name), { layout: 'builder', matrix, external: 'model.onnx_data' });
    const contents = { 'config.json': config, 'onnx/model.onnx': sample.model, 'onnx/model.onnx_data': sample.data, 'onnx/other.onnx': '' };
    const names = await modelFileNames(memoryFiles(contents));
    expect(names).toEqual(['config.json', 'onnx/model.onnx', 'onnx/model.onnx_data']);
    const kept = Object.fromEntries(Object.entries(contents).filter(([name]) => names.includes(name)));
    expect((await openModel(memoryFiles(kept))).spec).toEqual(golden.spec);
  });

  it('are a GGUF file alone, or all its parts', async () => {
    const file = ggufFile({ 'general.architecture': 'llama' }, []);
    expect(await modelFileNames(memoryFiles({ 'a.gguf': file, 'config.json': config }))).toEqual(['a.gguf']);
    const part = (no: number): Uint8Array => ggufFile({ 'split.no': no, 'split.count': 2 }, []);
    const names = ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf'];
    expect(await modelFileNames(memoryFiles({ [names[0]]: part(0), [names[1]]: part(1) }), undefined, names[0])).toEqual(names);
  });

  it('cannot be told where there are no weights', async () => {
    await expect(modelFileNames(memoryFiles({ 'config.json': config }))).rejects.toEqual(
      expect.objectContaining({ code: 'model/not-found' }),
    );
  });
});
