import type { ModelSpec } from './spec.ts';

export type Family = ModelSpec['family'];

/** Which layers see only a window of tokens, and where the config says so. */
export type WindowRule =
  /** Never. */
  | 'none'
  /** `sliding_window` holds for every layer; null switches it off. */
  | 'every-layer'
  /** `sliding_window` holds from layer `max_window_layers` on, if `use_sliding_window` is true; `layer_types` overrides. */
  | 'upper-layers'
  /** `layer_types`, or layer i is global when (i + 1) is a multiple of `sliding_window_pattern`. */
  | 'pattern';

/** What the config.json of a family leaves unsaid, and what its layers contain. Values are those of the Hugging Face model classes. */
export interface FamilyRow {
  readonly family: Family;
  /** Values that hold where config.json is silent. `null`: config.json must say it, or it follows from others (kv heads, head_dim). */
  readonly defaults: {
    readonly heads: number | null;
    readonly kvHeads: number | 'heads';
    readonly headDim: number | 'hidden/heads';
    readonly vocab: number | null;
    readonly maxPositions: number;
    readonly normEps: number;
    readonly ropeTheta: number;
    readonly tied: boolean;
    readonly activation: string;
    readonly window: number | null;
  };
  /** Key of config.json that names the activation. */
  readonly activationKey: 'hidden_act' | 'hidden_activation';
  readonly windows: WindowRule;
  /** `config`: as `attention_bias` says, on q, k, v and o alike. `qkv`: always on q, k, v and never on o. `never`: none. */
  readonly attentionBias: 'config' | 'qkv' | 'never';
  /** Whether `mlp_bias` is a key of this family. */
  readonly mlpBias: boolean;
  /** Gemma's particulars: (1 + weight) norms, head norms, norms after both blocks, scaled embeddings, own rotary base for local layers. */
  readonly gemma: boolean;
}

export const families: Readonly<Record<Family, FamilyRow>> = {
  llama: {
    family: 'llama',
    defaults: {
      heads: null,
      kvHeads: 'heads',
      headDim: 'hidden/heads',
      vocab: null,
      maxPositions: 2048,
      normEps: 1e-6,
      ropeTheta: 10000,
      tied: false,
      activation: 'silu',
      window: null,
    },
    activationKey: 'hidden_act',
    windows: 'none',
    attentionBias: 'config',
    mlpBias: true,
    gemma: false,
  },
  mistral: {
    family: 'mistral',
    defaults: {
      heads: null,
      kvHeads: 8,
      headDim: 'hidden/heads',
      vocab: null,
      maxPositions: 131072,
      normEps: 1e-6,
      ropeTheta: 10000,
      tied: false,
      activation: 'silu',
      window: 4096,
    },
    activationKey: 'hidden_act',
    windows: 'every-layer',
    attentionBias: 'never',
    mlpBias: false,
    gemma: false,
  },
  qwen2: {
    family: 'qwen2',
    defaults: {
      heads: null,
      kvHeads: 32,
      headDim: 'hidden/heads',
      vocab: null,
      maxPositions: 32768,
      normEps: 1e-6,
      ropeTheta: 10000,
      tied: false,
      activation: 'silu',
      window: 4096,
    },
    activationKey: 'hidden_act',
    windows: 'upper-layers',
    attentionBias: 'qkv',
    mlpBias: false,
    gemma: false,
  },
  gemma3_text: {
    family: 'gemma3_text',
    defaults: {
      heads: 8,
      kvHeads: 4,
      headDim: 256,
      vocab: 262208,
      maxPositions: 131072,
      normEps: 1e-6,
      ropeTheta: 1000000,
      tied: true,
      activation: 'gelu_pytorch_tanh',
      window: 4096,
    },
    activationKey: 'hidden_activation',
    windows: 'pattern',
    attentionBias: 'config',
    mlpBias: false,
    gemma: true,
  },
};

/** Activations by their names in config.json. The exact GELU is another function than the tanh form, so it is not here. */
export const activations: Readonly<Record<string, ModelSpec['activation']>> = {
  silu: 'silu',
  swish: 'silu',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_new: 'gelu_tanh',
};
