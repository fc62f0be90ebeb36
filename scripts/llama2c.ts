import { TillerError } from '../src/errors/error.ts';
import { writeSafetensors } from '../src/formats/safetensors.ts';

/** Header of a llama2.c checkpoint (version 0): seven 32-bit integers. */
export interface Llama2cShape {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocab: number;
  readonly maxPositions: number;
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * Rows of a query or key matrix from llama2.c's order to that of Hugging Face checkpoints. llama2.c rotates neighbouring pairs
 * (2i, 2i+1) of a head, Hugging Face pairs (i, i + headDim/2): within each head even rows come first, then odd ones.
 */
export function halfSplitRows(matrix: Float32Array, heads: number, cols: number): Float32Array {
  const headDim = matrix.length / cols / heads;
  const out = new Float32Array(matrix.length);
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < headDim; row++) {
      const from = head * headDim + (row < headDim / 2 ? 2 * row : 2 * (row - headDim / 2) + 1);
      out.set(matrix.subarray(from * cols, (from + 1) * cols), (head * headDim + row) * cols);
    }
  }
  return out;
}

/**
 * A llama2.c checkpoint (version 0, float32, tied head) as safetensors and config.json of a Hugging Face folder. Tensors go in the
 * order of their names, as the safetensors library writes them.
 * @throws model/file when the sizes in the header do not give the size of the file
 */
export function convertLlama2c(file: Uint8Array): { shape: Llama2cShape; safetensors: Uint8Array; config: Record<string, unknown> } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [hidden, intermediate, layers, heads, kvHeads, vocab, maxPositions] = Array.from({ length: 7 }, (_, i) =>
    view.getInt32(4 * i, true),
  );
  const shape = { hidden, intermediate, layers, heads, kvHeads, vocab, maxPositions };
  const headDim = hidden / heads;
  const kv = kvHeads * headDim;
  const perLayer = 2 * hidden + 2 * hidden * hidden + 2 * kv * hidden + 3 * intermediate * hidden;
  const rotary = maxPositions * headDim;
  const floats = vocab * hidden + layers * perLayer + hidden + rotary;
  if (28 + 4 * floats !== file.length) {
    throw new TillerError('model/file', {
      file: 'llama2.c checkpoint',
      problem: `its header asks for ${28 + 4 * floats} bytes, it has ${file.length}`,
    });
  }
  const data = new Float32Array(new Uint8Array(file.subarray(28)).buffer);
  let at = 0;
  const take = (length: number): Float32Array => data.subarray(at, (at += length));
  /** Matrices of one kind lie together, layer after layer. */
  const perLayerOf = (length: number): Float32Array[] => Array.from({ length: layers }, () => take(length));

  const embedding = take(vocab * hidden);
  const inputNorm = perLayerOf(hidden);
  const q = perLayerOf(hidden * hidden);
  const k = perLayerOf(kv * hidden);
  const v = perLayerOf(kv * hidden);
  const o = perLayerOf(hidden * hidden);
  const mlpNorm = perLayerOf(hidden);
  const gate = perLayerOf(intermediate * hidden);
  const down = perLayerOf(intermediate * hidden);
  const up = perLayerOf(intermediate * hidden);
  const norm = take(hidden);

  const tensors: Tensor[] = [
    { name: 'model.embed_tokens.weight', shape: [vocab, hidden], data: embedding },
    { name: 'model.norm.weight', shape: [hidden], data: norm },
  ];
  for (let layer = 0; layer < layers; layer++) {
    const add = (name: string, tensorShape: number[], values: Float32Array): void => {
      tensors.push({ name: `model.layers.${layer}.${name}.weight`, shape: tensorShape, data: values });
    };
    add('input_layernorm', [hidden], inputNorm[layer]);
    add('mlp.down_proj', [hidden, intermediate], down[layer]);
    add('mlp.gate_proj', [intermediate, hidden], gate[layer]);
    add('mlp.up_proj', [intermediate, hidden], up[layer]);
    add('post_attention_layernorm', [hidden], mlpNorm[layer]);
    add('self_attn.k_proj', [kv, hidden], halfSplitRows(k[layer], kvHeads, hidden));
    add('self_attn.o_proj', [hidden, hidden], o[layer]);
    add('self_attn.q_proj', [hidden, hidden], halfSplitRows(q[layer], heads, hidden));
    add('self_attn.v_proj', [kv, hidden], v[layer]);
  }
  tensors.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { shape, safetensors: writeSafetensors(tensors, { format: 'pt' }), config: llamaConfig(shape, headDim) };
}

function llamaConfig(shape: Llama2cShape, headDim: number): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: shape.hidden,
    intermediate_size: shape.intermediate,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    head_dim: headDim,
    vocab_size: shape.vocab,
    max_position_embeddings: shape.maxPositions,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    rope_scaling: null,
    hidden_act: 'silu',
    attention_bias: false,
    mlp_bias: false,
    tie_word_embeddings: true,
    bos_token_id: 1,
    eos_token_id: 2,
    torch_dtype: 'float32',
  };
}
