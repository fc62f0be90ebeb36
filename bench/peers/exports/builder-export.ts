import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { product, type Matrix } from '../../../src/engine/onnx/matrix.ts';
import { microsoft, ModelGraph } from '../../../src/engine/onnx/model-proto.ts';
import { f16ToF32 } from '../../../src/formats/float16.ts';
import { GROUP, groupsOf, quantizeRows } from '../../../src/model/quantize.ts';
import type { ModelFiles } from '../../../src/model/model.ts';
import { ropeTable } from '../../../src/model/rope.ts';
import type { ModelSpec } from '../../../src/model/spec.ts';
import type { Quantization } from '../../../src/model/weights.ts';
import { builderFiles } from '../builder-files.ts';
import { infoOf, largeTable, readF32 } from './gguf-export.ts';

/**
 * Writes a Llama model as a runnable ONNX file with the nodes of the published builder (SkipSimplifiedLayerNormalization, MatMulNBits
 * with accuracy level 4, GroupQueryAttention with its rotary embedding), and the config.json that transformers.js wants beside it. Integers and
 * scales are those of the engines. No end of text is declared: peers are to go on for as many tokens as they are asked for.
 */
export async function writeBuilderFolder(files: ModelFiles, quantization: Quantization, folder: string): Promise<void> {
  const { spec } = files;
  const model = await new BuilderExport(files, quantization).build();
  await mkdir(join(folder, 'onnx'), { recursive: true });
  await writeFile(join(folder, 'onnx', builderFiles[quantization]), model);
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: spec.hidden,
    intermediate_size: spec.intermediate,
    num_hidden_layers: spec.layers,
    num_attention_heads: spec.heads,
    num_key_value_heads: spec.kvHeads,
    head_dim: spec.headDim,
    vocab_size: spec.vocab,
    max_position_embeddings: spec.maxPositions,
    bos_token_id: spec.bosId,
    eos_token_id: null,
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'generation_config.json'), '{}');
}

const BATCH = 'batch_size';
const ROWS = 'sequence_length';

/** Positions of the rotary table. */
const positionsOf = (spec: ModelSpec): number => Math.min(spec.maxPositions, 2048);

class BuilderExport {
  private readonly graph = new ModelGraph();
  private readonly spec: ModelSpec;

  constructor(
    private readonly files: ModelFiles,
    private readonly quantization: Quantization,
  ) {
    this.spec = files.spec;
  }

  async build(): Promise<Uint8Array> {
    const { graph, spec } = this;
    graph.input('input_ids', [BATCH, ROWS], 'int64');
    graph.input('attention_mask', [BATCH, 'total_sequence_length'], 'int64');
    const whole = (name: string, value: number, shape: readonly number[]): string =>
      graph.constant(name, shape, BigInt64Array.of(BigInt(value)), 'int64');
    graph.node('ReduceSum', ['attention_mask', whole('axis', 1, [1])], 'lengths', { keepdims: 0 });
    graph.node('Sub', ['lengths', whole('one', 1, [1])], 'lengths_less_one');
    graph.node('Cast', ['lengths_less_one'], 'seqlens_k', { to: 6 });
    graph.node('Shape', ['attention_mask'], 'mask_shape');
    graph.node('Gather', ['mask_shape', whole('second', 1, [])], 'total', { axis: 0 });
    graph.node('Cast', ['total'], 'total_seq_len', { to: 6 });
    const positions = positionsOf(spec);
    const { cos, sin } = ropeTable(spec.layerSpecs[0].rope, spec.headDim, positions);
    graph.constant('cos_cache', [positions, spec.headDim / 2], cos);
    graph.constant('sin_cache', [positions, spec.headDim / 2], sin);

    let residual = await this.embedding();
    let normed = await this.norm('model.layers.0.input_layernorm', residual, null).then(({ out }) => out);
    for (let layer = 0; layer < spec.layers; layer++) {
      const prefix = `model.layers.${layer}`;
      const mixed = await this.attention(layer, normed);
      const middle = await this.norm(`${prefix}.post_attention_layernorm`, residual, mixed);
      const gate = await this.linear(`${prefix}.mlp.gate_proj`, middle.out);
      const up = await this.linear(`${prefix}.mlp.up_proj`, middle.out);
      graph.node('Sigmoid', [gate], `${prefix}.sigmoid`);
      graph.node('Mul', [gate, `${prefix}.sigmoid`], `${prefix}.act`);
      graph.node('Mul', [`${prefix}.act`, up], `${prefix}.hidden`);
      const down = await this.linear(`${prefix}.mlp.down_proj`, `${prefix}.hidden`);
      const next = layer + 1 < spec.layers ? `model.layers.${layer + 1}.input_layernorm` : 'model.norm';
      ({ out: normed, sum: residual } = await this.norm(next, middle.sum, down));
    }
    // Only the last position meets the head, which is what the builder calls a pruned head: nobody looks at the others.
    const last = [whole('last', -1, [1]), whole('end', 2 ** 31, [1]), whole('axis_of_rows', 1, [1])];
    graph.node('Slice', [normed, ...last], 'last_normed');
    await this.linear(spec.tiedHead ? 'model.embed_tokens' : 'lm_head', 'last_normed', 'logits');
    graph.output('logits', [BATCH, 1, spec.vocab]);
    return graph.finish().whole();
  }

  private async embedding(): Promise<string> {
    const { graph, spec } = this;
    const name = 'model.embed_tokens.weight';
    const values = await readF32(this.files.source, name);
    if (this.quantization === 'none' || !largeTable(infoOf(this.files.source, name))) {
      return graph.node('Gather', [graph.constant('embedding', [spec.vocab, spec.hidden], values), 'input_ids'], 'embedded');
    }
    const { data, scales } = quantizeRows(values, spec.vocab, spec.hidden, 'q8');
    const groups = groupsOf(spec.hidden);
    if (groups * GROUP !== spec.hidden) throw new Error('rows of the embedding are not whole groups');
    const bytes = data.map((value) => value ^ 0x80);
    const inputs = [
      graph.constant('embedding', [spec.vocab, spec.hidden], bytes, 'uint8'),
      'input_ids',
      graph.constant('embedding.scale', [spec.vocab, groups], f16ToF32(scales)),
    ];
    const attributes = { bits: 8, block_size: GROUP, gather_axis: 0, quantize_axis: 1 };
    return graph.node('GatherBlockQuantized', inputs, 'embedded', attributes, microsoft);
  }

  private async norm(name: string, base: string, added: string | null): Promise<{ readonly out: string; readonly sum: string }> {
    const { graph, spec } = this;
    const values = await readF32(this.files.source, `${name}.weight`);
    const weight = graph.constant(`${name}.weight`, [spec.hidden], values);
    const epsilon = { float: spec.normEps };
    const out = `${name}/output_0`;
    if (added === null) {
      graph.node('SimplifiedLayerNormalization', [base, weight], out, { axis: -1, epsilon, stash_type: 1 });
      return { out, sum: base };
    }
    const sum = `${name}/output_3`;
    graph.node('SkipSimplifiedLayerNormalization', [base, added, weight], [out, '', '', sum], { epsilon }, microsoft);
    return { out, sum };
  }

  private async attention(layer: number, input: string): Promise<string> {
    const { graph, spec } = this;
    const prefix = `model.layers.${layer}.self_attn`;
    const [q, k, v] = [
      await this.linear(`${prefix}.q_proj`, input),
      await this.linear(`${prefix}.k_proj`, input),
      await this.linear(`${prefix}.v_proj`, input),
    ];
    const shape = (length: string): (string | number)[] => [BATCH, spec.kvHeads, length, spec.headDim];
    const past = ['key', 'value'].map((part) => graph.input(`past_key_values.${layer}.${part}`, shape('past_sequence_length')));
    const present = ['key', 'value'].map((part) => `present.${layer}.${part}`);
    graph.node(
      'GroupQueryAttention',
      [q, k, v, ...past, 'seqlens_k', 'total_seq_len', 'cos_cache', 'sin_cache'],
      [`${prefix}.z`, ...present],
      { num_heads: spec.heads, kv_num_heads: spec.kvHeads, do_rotary: 1, rotary_interleaved: 0, scale: { float: spec.attentionScale } },
      microsoft,
    );
    for (const name of present) graph.output(name, shape('total_sequence_length'));
    return this.linear(`${prefix}.o_proj`, `${prefix}.z`);
  }

  private async linear(name: string, input: string, output = `${name}/output_0`): Promise<string> {
    const { graph, files } = this;
    const info = infoOf(files.source, `${name}.weight`);
    const [outputs, inputs] = info.shape;
    const values = await readF32(files.source, `${name}.weight`);
    const table = name === 'lm_head' || name === 'model.embed_tokens';
    const kind = table && !largeTable(info) ? 'none' : table && this.quantization !== 'none' ? 'q8' : this.quantization;
    if (kind === 'none') {
      const turned = new Float32Array(values.length);
      for (let row = 0; row < outputs; row++)
        for (let col = 0; col < inputs; col++) turned[col * outputs + row] = values[row * inputs + col];
      return graph.node('MatMul', [input, graph.constant(`${name}.MatMul.weight`, [inputs, outputs], turned)], output);
    }
    const matrix: Matrix = { outputs, inputs, weights: { kind, quantized: quantizeRows(values, outputs, inputs, kind) }, bias: null };
    return product(graph, name, matrix, input, output, 4);
  }
}
