import { TillerError } from '../errors/error.ts';
import { isRecord } from '../formats/json.ts';
import { activations, families, type Family, type FamilyRow } from './families.ts';
import { layerWindows } from './windows.ts';
import { readRope, type LayerKindRopes } from './rope-config.ts';
import { refuseConfig, ConfigReader } from './config-reader.ts';
import type { LayerSpec, ModelSpec } from './spec.ts';

/** Largest values that are still a model: whatever is above is a damaged or hostile file. */
export const configLimits = {
  num_hidden_layers: 1024,
  num_attention_heads: 1024,
  num_key_value_heads: 1024,
  head_dim: 1024,
  hidden_size: 65536,
  intermediate_size: 1048576,
  vocab_size: 4194304,
  max_position_embeddings: 16777216,
} as const;

/** Keys whose presence with another value than the harmless ones means a computation that is not done here. */
const unsupported: readonly { readonly key: string; readonly harmless: readonly unknown[]; readonly reason: string }[] = [
  { key: 'attn_logit_softcapping', harmless: [null], reason: 'soft-capped attention scores are not computed' },
  { key: 'final_logit_softcapping', harmless: [null], reason: 'soft-capped logits are not computed' },
  { key: 'partial_rotary_factor', harmless: [null, 1], reason: 'partial rotary embedding is not computed' },
  { key: 'quantization_config', harmless: [null], reason: 'weights quantised by other tools are not read; get the original weights' },
  { key: 'use_bidirectional_attention', harmless: [null, false], reason: 'only causal attention is computed' },
  { key: 'num_local_experts', harmless: [null, 0, 1], reason: 'mixtures of experts are not computed' },
  { key: 'num_experts', harmless: [null, 0, 1], reason: 'mixtures of experts are not computed' },
  { key: 'use_qk_norm', harmless: [null, false], reason: 'norms on queries and keys exist only in gemma3_text' },
  { key: 'qk_layernorm', harmless: [null, false], reason: 'norms on queries and keys exist only in gemma3_text' },
  { key: 'is_encoder_decoder', harmless: [null, false], reason: 'only decoders are run' },
];

/** Where the text model of a config lies: the config itself, or `text_config` of a multimodal one. */
function textConfig(config: unknown): { readonly json: Record<string, unknown>; readonly type: string } {
  if (!isRecord(config)) return refuseConfig('it is not an object');
  const type = config.model_type;
  if (typeof type !== 'string') return refuseConfig('model_type is missing or not a text');
  if (type !== 'gemma3') return { json: config, type };
  // The multimodal Gemma 3 wraps the text model; its images are not read, the text model is complete without them.
  if (!isRecord(config.text_config)) return refuseConfig('model_type is gemma3 but there is no text_config');
  const inner = { ...config.text_config };
  for (const key of ['bos_token_id', 'eos_token_id', 'tie_word_embeddings']) {
    if (!(key in inner) && key in config) inner[key] = config[key];
  }
  return { json: inner, type: typeof inner.model_type === 'string' ? inner.model_type : 'gemma3_text' };
}

function familyRow(type: string): FamilyRow {
  if (!Object.hasOwn(families, type)) {
    throw new TillerError('model/unknown-family', { type: type.slice(0, 100), known: Object.keys(families).join(', ') });
  }
  return families[type as Family];
}

/**
 * The spec of a model from its config.json, as Hugging Face model classes read it, class defaults included.
 * The family comes from `model_type` and from nothing else.
 * @throws model/unknown-family, model/config
 */
export function parseConfig(config: unknown): ModelSpec {
  const { json, type } = textConfig(config);
  const row = familyRow(type);
  const read = new ConfigReader(json);
  for (const { key, harmless, reason } of unsupported) {
    const value = json[key] ?? null;
    if (!harmless.includes(value)) refuseConfig(`${key} is ${show(value)}: ${reason}`);
  }

  const count = (key: keyof typeof configLimits, fallback: number | null): number => read.count(key, fallback, configLimits[key]);
  const layers = count('num_hidden_layers', null);
  const hidden = count('hidden_size', null);
  const intermediate = count('intermediate_size', null);
  const heads = count('num_attention_heads', row.defaults.heads);
  const kvHeads = count('num_key_value_heads', row.defaults.kvHeads === 'heads' ? heads : row.defaults.kvHeads);
  if (heads % kvHeads !== 0) refuseConfig(`num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}`);
  const headDim = count('head_dim', row.defaults.headDim === 'hidden/heads' ? Math.floor(hidden / heads) : row.defaults.headDim);
  if (read.absent('head_dim') && row.defaults.headDim === 'hidden/heads' && hidden % heads !== 0) {
    refuseConfig(`hidden_size ${hidden} is not a multiple of num_attention_heads ${heads}, and head_dim is not given`);
  }
  if (headDim % 2 !== 0) refuseConfig(`head_dim is ${headDim}; rotary embedding needs an even one`);
  const maxPositions = count('max_position_embeddings', row.defaults.maxPositions);
  const normEps = read.positive('rms_norm_eps', row.defaults.normEps);
  if (normEps >= 1) refuseConfig(`rms_norm_eps is ${normEps}, expected below 1`);

  const ropes = readRope(read, row, maxPositions);
  const windows = layerWindows(read, row, layers);
  const attentionBias = row.attentionBias === 'config' && read.flag('attention_bias', false);
  if (row.attentionBias === 'never' && read.flag('attention_bias', false))
    refuseConfig(`attention_bias is true, but ${row.family} has no such bias`);
  const mlpBias = read.flag('mlp_bias', false);
  if (mlpBias && !row.mlpBias) refuseConfig(`mlp_bias is true, but ${row.family} has no such bias`);
  const scalar = row.gemma ? read.positive('query_pre_attn_scalar', 256) : headDim;

  return {
    family: row.family,
    layers,
    heads,
    kvHeads,
    headDim,
    hidden,
    intermediate,
    vocab: count('vocab_size', row.defaults.vocab),
    maxPositions,
    normEps,
    normOffset: row.gemma ? 1 : 0,
    activation: readActivation(read, row),
    embedScale: row.gemma ? Math.sqrt(hidden) : 1,
    tiedHead: read.flag('tie_word_embeddings', row.defaults.tied),
    attentionScale: 1 / Math.sqrt(scalar),
    bias: { qkv: attentionBias || row.attentionBias === 'qkv', o: attentionBias, mlp: mlpBias },
    headNorm: row.gemma,
    sandwichNorm: row.gemma,
    layerSpecs: windows.map((window) => layerSpec(window, ropes)),
    bosId: read.id('bos_token_id'),
    eosIds: readIds(json.eos_token_id, 'config.json'),
  };
}

/** Layers with a window use the local rotary embedding where the family has one of its own. */
function layerSpec(window: { readonly size: number | null; readonly local: boolean }, ropes: LayerKindRopes): LayerSpec {
  return { window: window.size, rope: window.local ? ropes.local : ropes.global };
}

function readActivation(read: ConfigReader, row: FamilyRow): ModelSpec['activation'] {
  const name = read.text(row.activationKey, row.defaults.activation);
  if (Object.hasOwn(activations, name)) return activations[name];
  const why = name === 'gelu' ? 'the exact GELU differs from the tanh form' : `known are ${Object.keys(activations).join(', ')}`;
  return refuseConfig(`${row.activationKey} is ${show(name)}, which is not computed: ${why}`);
}

/** End tokens: one id, a list of ids or none. Also used for generation_config.json. */
export function readIds(value: unknown, file: string): number[] {
  if (value === undefined || value === null) return [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  if (ids.length > 64 || !ids.every((id): id is number => typeof id === 'number' && Number.isSafeInteger(id) && id >= 0)) {
    if (file === 'config.json') return refuseConfig('eos_token_id is not an id or a list of ids');
    throw new TillerError('model/file', { file, problem: 'eos_token_id is not an id or a list of ids' });
  }
  return [...new Set(ids)];
}

const show = (value: unknown): string => (JSON.stringify(value) ?? 'undefined').slice(0, 100);
