import { describe, expect, it } from 'vitest';
import { chosenFiles } from './chosen-files.ts';

const chosen = (...paths: string[]) => {
  const { name, files } = chosenFiles(paths.map((path) => ({ path, file: new File([], path) })));
  return [name, files.map(({ path }) => path)];
};

describe('chosen files', () => {
  it('lose the folder that holds them all', () => {
    expect(chosen('tiny/config.json', 'tiny/onnx/model.onnx')).toEqual(['tiny', ['config.json', 'onnx/model.onnx']]);
    expect(chosen('model.gguf')).toEqual(['model.gguf', ['model.gguf']]);
    expect(chosen('config.json', 'model.safetensors')).toEqual([null, ['config.json', 'model.safetensors']]);
    expect(chosen('config.json', 'onnx/model.onnx')).toEqual([null, ['config.json', 'onnx/model.onnx']]);
    const parts = ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf'];
    expect(chosen(...parts)).toEqual(['m.gguf', parts]);
    expect(chosen('a.gguf', 'b.gguf')[0]).toBeNull();
    expect(chosen('onnx/model.onnx')).toEqual(['onnx/model.onnx', ['onnx/model.onnx']]);
  });
});
