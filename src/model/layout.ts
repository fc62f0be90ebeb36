import { TillerError } from '../errors/error.ts';
import type { ModelSpec } from './spec.ts';
import type { TensorInfo, TensorRequirement, TensorRole, WeightSource } from './weights.ts';

/** One row per tensor of a layer: its role, its name after `model.layers.N.`, and its shape and presence from the spec. */
interface LayerRow {
  readonly role: TensorRole;
  readonly name: string;
  readonly shape: (spec: ModelSpec) => readonly number[];
  readonly when?: (spec: ModelSpec) => boolean;
}

const queryWidth = (spec: ModelSpec): number => spec.heads * spec.headDim;
const kvWidth = (spec: ModelSpec): number => spec.kvHeads * spec.headDim;

const layerRows: readonly LayerRow[] = [
  { role: 'input_norm', name: 'input_layernorm.weight', shape: (s) => [s.hidden] },
  { role: 'q', name: 'self_attn.q_proj.weight', shape: (s) => [queryWidth(s), s.hidden] },
  { role: 'q_bias', name: 'self_attn.q_proj.bias', shape: (s) => [queryWidth(s)], when: (s) => s.bias.qkv },
  { role: 'k', name: 'self_attn.k_proj.weight', shape: (s) => [kvWidth(s), s.hidden] },
  { role: 'k_bias', name: 'self_attn.k_proj.bias', shape: (s) => [kvWidth(s)], when: (s) => s.bias.qkv },
  { role: 'v', name: 'self_attn.v_proj.weight', shape: (s) => [kvWidth(s), s.hidden] },
  { role: 'v_bias', name: 'self_attn.v_proj.bias', shape: (s) => [kvWidth(s)], when: (s) => s.bias.qkv },
  { role: 'q_norm', name: 'self_attn.q_norm.weight', shape: (s) => [s.headDim], when: (s) => s.headNorm },
  { role: 'k_norm', name: 'self_attn.k_norm.weight', shape: (s) => [s.headDim], when: (s) => s.headNorm },
  { role: 'o', name: 'self_attn.o_proj.weight', shape: (s) => [s.hidden, queryWidth(s)] },
  { role: 'o_bias', name: 'self_attn.o_proj.bias', shape: (s) => [s.hidden], when: (s) => s.bias.o },
  // The same name is the norm before the MLP in most families and the norm after the attention in Gemma 3.
  { role: 'post_attn_norm', name: 'post_attention_layernorm.weight', shape: (s) => [s.hidden], when: (s) => s.sandwichNorm },
  { role: 'pre_mlp_norm', name: 'pre_feedforward_layernorm.weight', shape: (s) => [s.hidden], when: (s) => s.sandwichNorm },
  { role: 'pre_mlp_norm', name: 'post_attention_layernorm.weight', shape: (s) => [s.hidden], when: (s) => !s.sandwichNorm },
  { role: 'gate', name: 'mlp.gate_proj.weight', shape: (s) => [s.intermediate, s.hidden] },
  { role: 'gate_bias', name: 'mlp.gate_proj.bias', shape: (s) => [s.intermediate], when: (s) => s.bias.mlp },
  { role: 'up', name: 'mlp.up_proj.weight', shape: (s) => [s.intermediate, s.hidden] },
  { role: 'up_bias', name: 'mlp.up_proj.bias', shape: (s) => [s.intermediate], when: (s) => s.bias.mlp },
  { role: 'down', name: 'mlp.down_proj.weight', shape: (s) => [s.hidden, s.intermediate] },
  { role: 'down_bias', name: 'mlp.down_proj.bias', shape: (s) => [s.hidden], when: (s) => s.bias.mlp },
  { role: 'post_mlp_norm', name: 'post_feedforward_layernorm.weight', shape: (s) => [s.hidden], when: (s) => s.sandwichNorm },
];

/** Every tensor that a spec requires, in the order of loading: embedding, layers from 0, final norm, head where it is its own. */
export function tensorLayout(spec: ModelSpec): TensorRequirement[] {
  const out: TensorRequirement[] = [{ role: 'embed', layer: -1, name: 'model.embed_tokens.weight', shape: [spec.vocab, spec.hidden] }];
  const rows = layerRows.filter((row) => row.when?.(spec) ?? true);
  for (let layer = 0; layer < spec.layers; layer++) {
    for (const row of rows) out.push({ role: row.role, layer, name: `model.layers.${layer}.${row.name}`, shape: row.shape(spec) });
  }
  out.push({ role: 'final_norm', layer: -1, name: 'model.norm.weight', shape: [spec.hidden] });
  if (!spec.tiedHead) out.push({ role: 'head', layer: -1, name: 'lm_head.weight', shape: [spec.vocab, spec.hidden] });
  return out;
}

/** Extra tensors that mean nothing: buffers that old checkpoints kept, and the copy of a tied head. */
function isKnownExtra(name: string, spec: ModelSpec): boolean {
  if (/^model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/.test(name) || name === 'model.rotary_emb.inv_freq') return true;
  return spec.tiedHead && name === 'lm_head.weight';
}

export interface CheckedTensors {
  /** Requirement and stored tensor by name, in the order of loading. */
  readonly tensors: ReadonlyMap<string, { readonly requirement: TensorRequirement; readonly info: TensorInfo }>;
  /** Names in the source that no layer of this spec uses: to be reported, never silently passed over. */
  readonly extra: readonly string[];
}

/** Names that say that a checkpoint fuses matrices, or is in another program's layout. */
const otherLayouts = /(qkv_proj|query_key_value|W_pack|c_attn|gate_up_proj|attention\.w[qkvo]|feed_forward\.w[123])\.weight$/;

function missingTensor(name: string, spec: ModelSpec, source: Pick<WeightSource, 'tensors'>): TillerError {
  const found = [...source.tensors.keys()].find((other) => otherLayouts.test(other));
  if (found !== undefined) return new TillerError('model/other-layout', { name, found, family: spec.family });
  return new TillerError('model/tensor-missing', { name, family: spec.family });
}

/**
 * Compares a source with what the spec requires.
 * @throws model/tensor-missing, model/other-layout, model/tensor-shape
 */
export function checkTensors(spec: ModelSpec, source: Pick<WeightSource, 'tensors'>): CheckedTensors {
  const tensors = new Map<string, { requirement: TensorRequirement; info: TensorInfo }>();
  for (const requirement of tensorLayout(spec)) {
    const { name, shape } = requirement;
    const info = source.tensors.get(name);
    if (!info) throw missingTensor(name, spec, source);
    if (info.shape.length !== shape.length || info.shape.some((length, axis) => length !== shape[axis])) {
      throw new TillerError('model/tensor-shape', { name, got: info.shape.join(', '), expected: shape.join(', ') });
    }
    tensors.set(name, { requirement, info });
  }
  const extra = [...source.tensors.keys()].filter((name) => !tensors.has(name) && !isKnownExtra(name, spec));
  return { tensors, extra };
}
