import { parseConfig } from './config.ts';
import { knownModel } from './known.ts';
import type { ModelSpec } from './spec.ts';
import type { TensorDtype } from './weights.ts';

/** A model by its published shape: what it would need can be said without a file of it. */
export interface PublishedShape {
  readonly id: string;
  readonly title: string;
  /** Where the publisher keeps it on the hub. */
  readonly repository: string;
  readonly stored: TensorDtype;
  /** config.json as published, as far as it says something about the computation; of multimodal models the text part. */
  readonly config: Readonly<Record<string, unknown>>;
}

const llama2 = {
  model_type: 'llama',
  vocab_size: 32000,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: false,
  bos_token_id: 1,
  eos_token_id: 2,
};
const llama3 = {
  model_type: 'llama',
  num_key_value_heads: 8,
  vocab_size: 128256,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  tie_word_embeddings: false,
  bos_token_id: 128000,
  eos_token_id: 128001,
};

/** The larger models that people steer. None is offered for download on the page: the runner and the command line load their folders. */
export const publishedShapes: readonly PublishedShape[] = [
  {
    id: 'llama-2-7b',
    title: 'Llama 2 7B',
    repository: 'meta-llama/Llama-2-7b-hf',
    stored: 'F16',
    config: {
      ...llama2,
      hidden_size: 4096,
      intermediate_size: 11008,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 32,
    },
  },
  {
    id: 'llama-2-13b',
    title: 'Llama 2 13B',
    repository: 'meta-llama/Llama-2-13b-hf',
    stored: 'F16',
    config: {
      ...llama2,
      hidden_size: 5120,
      intermediate_size: 13824,
      num_hidden_layers: 40,
      num_attention_heads: 40,
      num_key_value_heads: 40,
    },
  },
  {
    id: 'llama-2-70b',
    title: 'Llama 2 70B',
    repository: 'meta-llama/Llama-2-70b-hf',
    stored: 'F16',
    config: {
      ...llama2,
      hidden_size: 8192,
      intermediate_size: 28672,
      num_hidden_layers: 80,
      num_attention_heads: 64,
      num_key_value_heads: 8,
    },
  },
  {
    id: 'llama-3-8b',
    title: 'Llama 3 8B',
    repository: 'meta-llama/Meta-Llama-3-8B',
    stored: 'BF16',
    config: { ...llama3, hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32, num_attention_heads: 32 },
  },
  {
    id: 'llama-3-70b',
    title: 'Llama 3 70B',
    repository: 'meta-llama/Meta-Llama-3-70B',
    stored: 'BF16',
    config: { ...llama3, hidden_size: 8192, intermediate_size: 28672, num_hidden_layers: 80, num_attention_heads: 64 },
  },
  {
    id: 'mistral-7b',
    title: 'Mistral 7B',
    repository: 'mistralai/Mistral-7B-v0.1',
    stored: 'BF16',
    config: {
      model_type: 'mistral',
      hidden_size: 4096,
      intermediate_size: 14336,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      vocab_size: 32000,
      max_position_embeddings: 32768,
      sliding_window: 4096,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      tie_word_embeddings: false,
      bos_token_id: 1,
      eos_token_id: 2,
    },
  },
  {
    id: 'gemma-3-4b',
    title: 'Gemma 3 4B (text part)',
    repository: 'google/gemma-3-4b-it',
    stored: 'BF16',
    config: {
      model_type: 'gemma3_text',
      hidden_size: 2560,
      intermediate_size: 10240,
      num_hidden_layers: 34,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      head_dim: 256,
      vocab_size: 262208,
      max_position_embeddings: 131072,
      sliding_window: 1024,
      sliding_window_pattern: 6,
      query_pre_attn_scalar: 256,
      rms_norm_eps: 1e-6,
      rope_theta: 1000000,
      rope_local_base_freq: 10000,
      rope_scaling: { rope_type: 'linear', factor: 8 },
      hidden_activation: 'gelu_pytorch_tanh',
      bos_token_id: 2,
      eos_token_id: [1, 106],
    },
  },
];

/** A published or known shape by its id or a repository of it; null where there is none. */
export function publishedShape(
  name: string,
): { readonly id: string; readonly title: string; readonly stored: TensorDtype; readonly spec: ModelSpec } | null {
  const found = publishedShapes.find(({ id, repository }) => id === name || repository === name) ?? knownModel(name);
  return found && { id: found.id, title: found.title, stored: found.stored, spec: parseConfig(found.config) };
}
