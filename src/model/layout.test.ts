import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseSafetensors } from '../formats/safetensors.ts';
import { parseConfig } from './config.ts';
import { checkTensors, tensorLayout } from './layout.ts';
import type { TensorInfo } from './weights.ts';

const folder = (name: string): URL => new URL(`../../test/goldens/${name}/`, import.meta.url);
const names = [
  'llama_gqa_tied',
  'llama_llama3rope',
  'llama_attention_bias',
  'llama_odd_sizes',
  'llama_quantized',
  'mistral_window',
  'qwen2',
  'gemma3',
  'gemma3_linear_rope',
];

function load(name: string): { spec: ReturnType<typeof parseConfig>; tensors: Map<string, TensorInfo> } {
  const entries = parseSafetensors(readFileSync(new URL('model.safetensors', folder(name))), name);
  const tensors = new Map([...entries].map(([key, { shape }]) => [key, { name: key, dtype: 'F32' as const, shape }]));
  return { spec: parseConfig(JSON.parse(readFileSync(new URL('config.json', folder(name)), 'utf8'))), tensors };
}

describe('tensor layout', () => {
  it.each(names)('asks for exactly the tensors of %s', (name) => {
    const { spec, tensors } = load(name);
    const { tensors: checked, extra } = checkTensors(spec, { tensors });
    expect(extra).toEqual([]);
    expect([...checked.keys()].sort()).toEqual([...tensors.keys()].sort());
    expect([...checked.keys()]).toEqual(tensorLayout(spec).map((requirement) => requirement.name));
  });

  it('has every role once per layer', () => {
    for (const name of names) {
      const seen = tensorLayout(load(name).spec).map(({ role, layer }) => `${role} ${layer}`);
      expect(new Set(seen).size).toBe(seen.length);
    }
  });

  it('names what is missing or of another shape, and reports what is left over', () => {
    const { spec, tensors } = load('qwen2');
    const without = new Map(tensors);
    without.delete('model.layers.1.self_attn.k_proj.bias');
    expect(() => checkTensors(spec, { tensors: without })).toThrow(expect.objectContaining({ code: 'model/tensor-missing' }));
    const info = tensors.get('model.norm.weight')!;
    const misshapen = new Map(tensors).set('model.norm.weight', { ...info, shape: [info.shape[0], 1] });
    expect(() => checkTensors(spec, { tensors: misshapen })).toThrow(expect.objectContaining({ code: 'model/tensor-shape' }));
    const more = new Map(tensors)
      .set('model.layers.0.self_attn.rotary_emb.inv_freq', { ...info, name: 'a' })
      .set('lm_head.weight', { ...info, name: 'b' })
      .set('model.layers.0.self_attn.o_proj.bias', { ...info, name: 'c' });
    expect(checkTensors(spec, { tensors: more }).extra).toEqual(['model.layers.0.self_attn.o_proj.bias']);
  });
});
