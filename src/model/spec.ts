import type { ModelShape } from '../graph/points.ts';

/** Rotary embedding of one kind of layer. Tables are computed on the CPU in f64 and stored as f32 (engine-side sin/cos is too coarse). */
export interface RopeSpec {
  readonly theta: number;
  readonly scaling:
    | null
    | { readonly type: 'linear'; readonly factor: number }
    | {
        readonly type: 'llama3';
        readonly factor: number;
        readonly lowFreqFactor: number;
        readonly highFreqFactor: number;
        readonly originalMaxPositions: number;
      };
}

export interface LayerSpec {
  /** The token itself and the window-1 tokens before it are seen; null: all. */
  readonly window: number | null;
  readonly rope: RopeSpec;
}

/** Everything the forward pass of a model needs to know, read from config.json by src/model/families.ts. */
export interface ModelSpec extends ModelShape {
  readonly family: 'llama' | 'mistral' | 'qwen2' | 'gemma3_text';
  readonly vocab: number;
  readonly maxPositions: number;
  readonly normEps: number;
  /** RMSNorm multiplies by (normOffset + weight): 1 for Gemma, else 0. */
  readonly normOffset: 0 | 1;
  readonly activation: 'silu' | 'gelu_tanh';
  /** Embeddings are multiplied by this; sqrt(hidden) for Gemma, else 1. */
  readonly embedScale: number;
  readonly tiedHead: boolean;
  /** Scores are multiplied by this: headDim^-0.5, or query_pre_attn_scalar^-0.5. */
  readonly attentionScale: number;
  readonly bias: { readonly qkv: boolean; readonly o: boolean; readonly mlp: boolean };
  /** RMSNorm over each head of q and k, before rotary embedding (Gemma 3). */
  readonly headNorm: boolean;
  /** post_attention_layernorm and post_feedforward_layernorm act on the block outputs before the residual add (Gemma 3). */
  readonly sandwichNorm: boolean;
  readonly layerSpecs: readonly LayerSpec[];
  readonly bosId: number | null;
  readonly eosIds: readonly number[];
}
