import { describe, expect, it } from 'vitest';
import { hubNameText, parseHubName } from './hub-name.ts';

describe('names of models on the hub', () => {
  it.each([
    ['owner/name', ['owner/name', 'main', null]],
    [' owner/name ', ['owner/name', 'main', null]],
    ['owner/name:Q4_K_M', ['owner/name', 'main', 'Q4_K_M']],
    ['owner/name@v1.0:onnx/model_q4.onnx', ['owner/name', 'v1.0', 'onnx/model_q4.onnx']],
    ['owner/name@refs/pr/1', ['owner/name', 'refs/pr/1', null]],
    ['https://huggingface.co/owner/name', ['owner/name', 'main', null]],
    ['https://huggingface.co/owner/name/tree/main', ['owner/name', 'main', null]],
    ['https://huggingface.co/owner/name/blob/main/a-Q8_0.gguf', ['owner/name', 'main', 'a-Q8_0.gguf']],
    ['https://huggingface.co/owner/name/resolve/v2/onnx/model.onnx?download=true', ['owner/name', 'v2', 'onnx/model.onnx']],
  ])('%s', (text, [repository, revision, file]) => {
    const name = parseHubName(text);
    expect(name).toEqual({ repository, revision, file });
    expect(parseHubName(hubNameText(name!))).toEqual(name);
  });

  it.each([
    'name',
    'a/b/c',
    '../b',
    'https://elsewhere.org/owner/name',
    'https://huggingface.co/owner',
    'https://huggingface.co/owner/name/discussions/1',
    '',
  ])('not %j', (text) => expect(parseHubName(text)).toBeNull());

  it('are understood below the address of a mirror', () => {
    expect(parseHubName('https://m.org/hf/owner/name/blob/main/x.gguf', 'https://m.org/hf')).toEqual({
      repository: 'owner/name',
      revision: 'main',
      file: 'x.gguf',
    });
    expect(parseHubName('https://m.org/owner/name', 'https://m.org/hf')).toBeNull();
  });
});
