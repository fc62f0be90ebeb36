import { TillerError } from '../../errors/error.ts';

/** What a GGUF architecture is in our terms, and how its tensors differ from those of the Hugging Face checkpoint it was made from. */
export interface Architecture {
  /** model_type of config.json. */
  readonly type: string;
  /** Rows of q and k lie in the order of interleaved rotary pairs: 0, 1 of a head are a pair. Ours pairs a half with the other. */
  readonly interleaved: boolean;
  /** Norm weights were stored with 1 added. */
  readonly normPlusOne: boolean;
  /** GGUF name after `blk.N.` -> name after `model.layers.N.`. */
  readonly layer: Readonly<Record<string, string>>;
}

const attention = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
} as const;

export const architectures: Readonly<Record<string, Architecture>> = {
  // Mistral models are stored as llama too; a window in the metadata tells them apart.
  llama: { type: 'llama', interleaved: true, normPlusOne: false, layer: { ...attention, ffn_norm: 'post_attention_layernorm' } },
  qwen2: { type: 'qwen2', interleaved: false, normPlusOne: false, layer: { ...attention, ffn_norm: 'post_attention_layernorm' } },
  gemma3: {
    type: 'gemma3_text',
    interleaved: false,
    normPlusOne: true,
    layer: {
      ...attention,
      attn_q_norm: 'self_attn.q_norm',
      attn_k_norm: 'self_attn.k_norm',
      post_attention_norm: 'post_attention_layernorm',
      ffn_norm: 'pre_feedforward_layernorm',
      post_ffw_norm: 'post_feedforward_layernorm',
    },
  },
};

/** @throws model/unknown-family */
export function architectureOf(name: string): Architecture {
  if (!Object.hasOwn(architectures, name)) {
    throw new TillerError('model/unknown-family', { type: name.slice(0, 100), known: Object.keys(architectures).join(', ') });
  }
  return architectures[name];
}

const whole: Readonly<Record<string, string>> = { token_embd: 'model.embed_tokens', output_norm: 'model.norm', output: 'lm_head' };

/** The name of a tensor in a Hugging Face checkpoint; null for what has no place there. */
export function checkpointName(name: string, { layer }: Architecture): string | null {
  const match = /^(?:blk\.(0|[1-9]\d{0,3})\.)?(\w+)\.(weight|bias)$/.exec(name);
  if (!match) return null;
  const [, index, part, kind] = match as unknown as [string, string | undefined, string, string];
  const table = index === undefined ? whole : layer;
  if (!Object.hasOwn(table, part)) return null;
  return index === undefined ? `${table[part]}.${kind}` : `model.layers.${index}.${table[part]}.${kind}`;
}
