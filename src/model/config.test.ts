import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { parseConfig } from './config.ts';

const golden = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../test/goldens/${name}/config.json`, import.meta.url), 'utf8'));

const llama = {
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  vocab_size: 100,
};
const qwen = { ...llama, model_type: 'qwen2', num_key_value_heads: 2 };
const mistral = { ...llama, model_type: 'mistral', num_key_value_heads: 2 };
const gemma = { ...llama, model_type: 'gemma3_text', num_key_value_heads: 1, head_dim: 20, sliding_window: 8, query_pre_attn_scalar: 25 };

function refusal(config: unknown): string {
  try {
    parseConfig(config);
  } catch (error) {
    expect(error).toBeInstanceOf(TillerError);
    expect(['model/config', 'model/unknown-family']).toContain((error as TillerError).code);
    return (error as TillerError).message;
  }
  throw new Error('the config was accepted');
}

const windows = (config: unknown): (number | null)[] => parseConfig(config).layerSpecs.map(({ window }) => window);

describe('config.json', () => {
  it('gives llama its class defaults', () => {
    const spec = parseConfig(llama);
    expect(spec).toMatchObject({
      family: 'llama',
      kvHeads: 4,
      headDim: 16,
      maxPositions: 2048,
      normEps: 1e-6,
      normOffset: 0,
      activation: 'silu',
      embedScale: 1,
      tiedHead: false,
      attentionScale: 0.25,
      bias: { qkv: false, o: false, mlp: false },
      headNorm: false,
      sandwichNorm: false,
      bosId: null,
      eosIds: [],
    });
    expect(spec.layerSpecs).toEqual(Array(3).fill({ window: null, rope: { theta: 10000, scaling: null } }));
  });

  it('takes null for absent', () => {
    const nulls = Object.fromEntries(
      ['head_dim', 'num_key_value_heads', 'rope_scaling', 'rope_theta', 'rms_norm_eps'].map((key) => [key, null]),
    );
    expect(parseConfig({ ...llama, ...nulls })).toEqual(parseConfig(llama));
  });

  it('reads the goldens', () => {
    expect(parseConfig(golden('llama_odd_sizes'))).toMatchObject({ hidden: 66, headDim: 22, normEps: 0.001, kvHeads: 1 });
    expect(parseConfig(golden('llama_attention_bias')).bias).toEqual({ qkv: true, o: true, mlp: false });
    expect(parseConfig(golden('llama_gqa_tied')).tiedHead).toBe(true);
    expect(parseConfig(golden('qwen2')).bias).toEqual({ qkv: true, o: false, mlp: false });
    expect(windows(golden('qwen2'))).toEqual([null, null, null]);
    expect(windows(golden('mistral_window'))).toEqual([6, 6, 6]);
    expect(windows(golden('gemma3'))).toEqual([5, 5, 5, 5, 5, null, 5]);
    expect(windows(golden('gemma3_linear_rope'))).toEqual([4, 4, null, 4, 4, 4, null]);
    expect(parseConfig(golden('llama_llama3rope')).layerSpecs[0].rope.scaling).toEqual({
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 3,
      originalMaxPositions: 24,
    });
  });

  it('reads all particulars of Gemma 3', () => {
    const spec = parseConfig(golden('gemma3_linear_rope'));
    expect(spec).toMatchObject({
      normOffset: 1,
      activation: 'gelu_tanh',
      embedScale: Math.sqrt(40),
      tiedHead: true,
      attentionScale: 1 / Math.sqrt(24),
      headNorm: true,
      sandwichNorm: true,
      bosId: 2,
      eosIds: [1],
    });
    expect(spec.layerSpecs[0].rope).toEqual({ theta: 10000, scaling: null });
    expect(spec.layerSpecs[2].rope).toEqual({ theta: 1000000, scaling: { type: 'linear', factor: 8 } });
  });

  it('knows when a sliding window holds', () => {
    expect(windows({ ...mistral, sliding_window: null })).toEqual([null, null, null]);
    expect(windows(mistral)).toEqual([4096, 4096, 4096]);
    expect(windows({ ...qwen, sliding_window: 4, use_sliding_window: true, max_window_layers: 2 })).toEqual([null, null, 4]);
    expect(windows({ ...qwen, sliding_window: 4, use_sliding_window: true, max_window_layers: 0 })).toEqual([4, 4, 4]);
    expect(windows({ ...qwen, sliding_window: 4, use_sliding_window: true })).toEqual([null, null, null]);
    expect(windows({ ...llama, sliding_window: 4 })).toEqual([null, null, null]);
    expect(windows({ ...gemma, sliding_window_pattern: 2 })).toEqual([8, null, 8]);
    expect(windows({ ...gemma, _sliding_window_pattern: 3 })).toEqual([8, 8, null]);
  });

  it('reads rope_scaling by either name and the newer rope_parameters', () => {
    const linear = { theta: 10000, scaling: { type: 'linear', factor: 2 } };
    expect(parseConfig({ ...llama, rope_scaling: { type: 'linear', factor: 2 } }).layerSpecs[0].rope).toEqual(linear);
    expect(parseConfig({ ...llama, rope_parameters: { rope_type: 'linear', factor: 2, rope_theta: 10000 } }).layerSpecs[0].rope).toEqual(
      linear,
    );
    expect(parseConfig({ ...llama, rope_scaling: { rope_type: 'default' } }).layerSpecs[0].rope.scaling).toBeNull();
    const perType = {
      full_attention: { rope_type: 'linear', factor: 8, rope_theta: 500 },
      sliding_attention: { rope_type: 'default', rope_theta: 77 },
    };
    const spec = parseConfig({ ...gemma, sliding_window_pattern: 2, rope_parameters: perType });
    expect(spec.layerSpecs[0].rope).toEqual({ theta: 77, scaling: null });
    expect(spec.layerSpecs[1].rope).toEqual({ theta: 500, scaling: { type: 'linear', factor: 8 } });
  });

  it('reads the text model of a multimodal Gemma 3, with its class defaults', () => {
    const text = { model_type: 'gemma3_text', hidden_size: 2560, intermediate_size: 10240, num_hidden_layers: 34, sliding_window: 1024 };
    const spec = parseConfig({ model_type: 'gemma3', eos_token_id: [1, 106], text_config: text });
    expect(spec).toMatchObject({ family: 'gemma3_text', heads: 8, kvHeads: 4, headDim: 256, vocab: 262208, eosIds: [1, 106] });
    expect(refusal({ model_type: 'gemma3' })).toContain('text_config');
  });

  it('takes the family from model_type and from nothing else', () => {
    expect(refusal({ ...llama, model_type: 'llama4', architectures: ['LlamaForCausalLM'], _name_or_path: 'meta-llama/x' })).toContain(
      'llama4',
    );
    expect(refusal({ ...llama, model_type: 'constructor' })).toContain('constructor');
    expect(refusal({ ...llama, model_type: undefined })).toContain('model_type');
  });

  it.each<[string, unknown, string]>([
    ['no object', [], 'not an object'],
    ['null', null, 'not an object'],
    ['a missing size', { ...llama, hidden_size: undefined }, 'hidden_size is missing'],
    ['a size as text', { ...llama, hidden_size: '64' }, 'hidden_size'],
    ['a fraction', { ...llama, hidden_size: 64.5 }, 'hidden_size'],
    ['zero layers', { ...llama, num_hidden_layers: 0 }, 'num_hidden_layers'],
    ['a billion layers', { ...llama, num_hidden_layers: 1e9 }, 'limit'],
    ['a vocabulary beyond all models', { ...llama, vocab_size: 2 ** 31 }, 'limit'],
    ['heads that do not divide', { ...llama, num_key_value_heads: 3 }, 'multiple'],
    ['hidden that heads do not divide', { ...llama, hidden_size: 66 }, 'head_dim'],
    ['an odd head_dim', { ...llama, head_dim: 15 }, 'even'],
    ['a negative eps', { ...llama, rms_norm_eps: -1e-5 }, 'rms_norm_eps'],
    ['an eps of one', { ...llama, rms_norm_eps: 1 }, 'rms_norm_eps'],
    ['tying as a number', { ...llama, tie_word_embeddings: 1 }, 'tie_word_embeddings'],
    ['an unknown activation', { ...llama, hidden_act: 'relu' }, 'relu'],
    ['the exact GELU', { ...gemma, hidden_activation: 'gelu' }, 'tanh'],
    ['yarn', { ...llama, rope_scaling: { rope_type: 'yarn', factor: 2 } }, 'yarn'],
    ['dynamic scaling', { ...llama, rope_scaling: { type: 'dynamic', factor: 2 } }, 'dynamic'],
    ['linear scaling without factor', { ...llama, rope_scaling: { type: 'linear' } }, 'factor'],
    [
      'crossed llama3 factors',
      { ...llama, rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 1 } },
      'high_freq_factor',
    ],
    ['rope_scaling as a list', { ...llama, rope_scaling: [] }, 'rope_scaling'],
    ['partial rotation', { ...llama, partial_rotary_factor: 0.5 }, 'partial'],
    ['soft-capped scores', { ...gemma, attn_logit_softcapping: 50 }, 'attn_logit_softcapping'],
    ['soft-capped logits', { ...gemma, final_logit_softcapping: 30 }, 'final_logit_softcapping'],
    ['quantised weights', { ...llama, quantization_config: { bits: 4 } }, 'quantization_config'],
    ['experts', { ...llama, num_local_experts: 8 }, 'experts'],
    ['attention bias in mistral', { ...mistral, attention_bias: true }, 'attention_bias'],
    ['an MLP bias in qwen2', { ...qwen, mlp_bias: true }, 'mlp_bias'],
    ['layer_types of another length', { ...gemma, layer_types: ['full_attention'] }, 'layer_types'],
    ['unknown layer_types', { ...gemma, layer_types: ['a', 'b', 'c'] }, 'layer_types'],
    ['an end token as text', { ...llama, eos_token_id: '2' }, 'eos_token_id'],
    ['a negative start token', { ...llama, bos_token_id: -1 }, 'bos_token_id'],
  ])('refuses %s', (_, config, problem) => {
    expect(refusal(config)).toContain(problem);
  });

  it('gives a spec or its own error for any values', () => {
    const keys = [
      ...new Set([
        ...Object.keys(gemma),
        'rope_scaling',
        'rope_parameters',
        'layer_types',
        'eos_token_id',
        'sliding_window_pattern',
        'rms_norm_eps',
      ]),
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(llama, qwen, mistral, gemma),
        fc.dictionary(fc.constantFrom(...keys), fc.jsonValue()),
        (base, changes) => {
          try {
            const spec = parseConfig({ ...base, ...changes });
            expect(spec.layerSpecs).toHaveLength(spec.layers);
            expect(spec.heads % spec.kvHeads).toBe(0);
            expect(Number.isFinite(spec.attentionScale)).toBe(true);
          } catch (error) {
            expect(error).toBeInstanceOf(TillerError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
