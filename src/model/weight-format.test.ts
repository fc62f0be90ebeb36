import { describe, expect, it } from 'vitest';
import { memoryFiles } from '../../test/weights/golden-weights.ts';
import { findWeights, formatOfName } from './weight-format.ts';

const found = (...names: string[]): Promise<unknown> => findWeights(memoryFiles(Object.fromEntries(names.map((name) => [name, '']))));

describe('the weights of a folder', () => {
  it('are safetensors before ONNX before GGUF', async () => {
    expect(await found('a.gguf', 'onnx/model.onnx', 'model.safetensors')).toEqual({ format: 'safetensors', path: 'model.safetensors' });
    expect(await found('a.gguf', 'onnx/model_q4.onnx', 'model.onnx')).toEqual({ format: 'onnx', path: 'onnx/model_q4.onnx' });
    expect(await found('a.gguf', 'onnx/model_q4.onnx', 'onnx/model_fp16.onnx')).toEqual({ format: 'onnx', path: 'onnx/model_fp16.onnx' });
    expect(await found('a.gguf')).toEqual({ format: 'gguf', path: 'a.gguf' });
    expect(await found('config.json')).toBeNull();
  });

  it('may be a GGUF file in parts, but not several files', async () => {
    const parts = ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf'];
    expect(await found(...parts)).toEqual({ format: 'gguf', path: parts[0] });
    expect(await found(parts[1])).toEqual({ format: 'gguf', path: parts[1] });
    await expect(found('a.gguf', 'b.gguf')).rejects.toEqual(expect.objectContaining({ code: 'model/not-found' }));
  });

  it('are told by the name of a file', () => {
    expect(['a.GGUF', 'b.onnx', 'c.safetensors', 'd.bin'].map(formatOfName)).toEqual(['gguf', 'onnx', 'safetensors', null]);
  });
});
