import type { Metadata } from './metadata.ts';
import type { Architecture } from './architectures.ts';
import { scalingOfFactors } from './rope-factors.ts';

/** What of the tensors belongs to the shape of the model. */
export interface TensorFacts {
  /** Rows of the embedding. */
  readonly vocab: number;
  readonly ownHead: boolean;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  /** `rope_freqs.weight`, [headDim / 2]: what each rotary frequency is divided by. */
  readonly ropeFactors: Float32Array | null;
}

/** Metadata that says nothing about the computation, or only what the tensors say too. */
const neutral = ['vocab_size', 'rope.scaling.finetuned', 'attention.causal', 'tensor_data_layout', 'rope.dimension_sections'];
/** Metadata that changes the computation in ways no family here knows. Values that mean "off". */
const foreign: Readonly<Record<string, number>> = {
  expert_count: 0,
  expert_used_count: 0,
  attn_logit_softcapping: 0,
  final_logit_softcapping: 0,
  logit_scale: 1,
  residual_scale: 1,
  embedding_scale: 1,
};
/** Local layers of Gemma 3 have this base unless the metadata names another. */
const LOCAL_BASE = 10000;
const LAYERS_OF_27B = 62;

/**
 * A config.json of what GGUF metadata says, for `parseConfig`.
 * @throws model/file
 */
export function configOfMetadata(
  metadata: Metadata,
  name: string,
  architecture: Architecture,
  facts: TensorFacts,
): Record<string, unknown> {
  const key = (part: string): string => `${name}.${part}`;
  const need = (part: string): number => metadata.uniform(key(part)) ?? metadata.refuse(`it has no key ${key(part)}`);
  metadata.skip(neutral.map(key));
  for (const [part, off] of Object.entries(foreign)) {
    const value = metadata.number(key(part)) ?? off;
    if (value !== off && value !== 0) metadata.refuse(`the key ${key(part)} is ${value}, which no known family computes`);
  }
  const hidden = need('embedding_length');
  const heads = need('attention.head_count');
  const headDim = metadata.number(key('attention.key_length')) ?? hidden / heads;
  const valueLength = metadata.number(key('attention.value_length')) ?? headDim;
  if (valueLength !== headDim) metadata.refuse(`keys are ${headDim} long and values ${valueLength}; only equal lengths are computed`);
  const rotary = metadata.number(key('rope.dimension_count')) ?? headDim;
  if (rotary !== headDim) metadata.refuse(`${rotary} of ${headDim} dimensions of a head are rotated; only all are computed`);
  const layers = need('block_count');
  const positions = need('context_length');
  // A Qwen 2 file has no way to say which layers use the window, so there the key stays unread and is reported.
  const window = architecture.type === 'qwen2' ? null : metadata.number(key('attention.sliding_window'));
  const gemma = architecture.type === 'gemma3_text';
  return {
    model_type: architecture.type === 'llama' && window !== null ? 'mistral' : architecture.type,
    hidden_size: hidden,
    intermediate_size: need('feed_forward_length'),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: metadata.uniform(key('attention.head_count_kv')) ?? heads,
    head_dim: headDim,
    vocab_size: facts.vocab,
    max_position_embeddings: positions,
    rms_norm_eps: metadata.decimal(key('attention.layer_norm_rms_epsilon')) ?? undefined,
    rope_theta: metadata.decimal(key('rope.freq_base')) ?? undefined,
    rope_scaling: scaling(metadata, key, facts.ropeFactors),
    tie_word_embeddings: !facts.ownHead,
    attention_bias: facts.attentionBias && architecture.type !== 'qwen2',
    mlp_bias: facts.mlpBias,
    ...(window === null ? {} : { sliding_window: window }),
    ...(gemma
      ? {
          rope_local_base_freq: metadata.decimal(key('rope.freq_base_swa')) ?? LOCAL_BASE,
          sliding_window_pattern: metadata.number(key('attention.sliding_window_pattern')) ?? undefined,
          query_pre_attn_scalar: layers === LAYERS_OF_27B ? hidden / heads : headDim,
        }
      : {}),
    bos_token_id: metadata.number('tokenizer.ggml.bos_token_id') ?? undefined,
    eos_token_id: endTokens(metadata),
  };
}

function endTokens(metadata: Metadata): number[] {
  const ids = ['eos', 'eot', 'eom'].map((kind) => metadata.number(`tokenizer.ggml.${kind}_token_id`));
  return [...new Set(ids.filter((id) => id !== null))];
}

function scaling(metadata: Metadata, key: (part: string) => string, factors: Float32Array | null): Record<string, unknown> | null {
  const type = metadata.text(key('rope.scaling.type')) ?? 'none';
  const factor = metadata.decimal(key('rope.scaling.factor')) ?? 1;
  const original = metadata.number(key('rope.scaling.original_context_length'));
  if (factors) {
    if (type !== 'none') metadata.refuse(`it has both rope_freqs.weight and the rotary scaling "${type.slice(0, 100)}"`);
    return scalingOfFactors(factors, metadata.decimal(key('rope.freq_base')) ?? 10000, original, (problem) => metadata.refuse(problem));
  }
  if (type === 'none' || (type === 'linear' && factor === 1)) return null;
  if (type === 'linear') return { rope_type: 'linear', factor };
  return metadata.refuse(`its rotary scaling is "${type.slice(0, 100)}"; none and linear are computed`);
}
