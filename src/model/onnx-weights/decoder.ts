import type { ModelSpec } from '../spec.ts';
import { findAttentions, linearsBehind, refuseGraph } from './attention.ts';
import type { Constants } from './constants.ts';
import { refuseNode } from './constants.ts';
import type { GraphIndex } from './graph-index.ts';
import { findLinears, type Linear } from './linears.ts';
import { findMlps } from './mlps.ts';
import { normAfter, normBefore } from './norms.ts';
import type { OnnxNode } from './onnx-graph.ts';
import type { Weight } from './weight.ts';

/** Weights of a decoder by the names of a Hugging Face checkpoint. Matrices are [out, in]. */
export type NamedWeights = Map<string, Weight>;

/**
 * Finds what every constant of a decoder's graph is for, by operators and by what flows where: attention leads back to q, k and v
 * and on to o, a gated product to gate, up and down, norms are what stands before and behind. Names differ from exporter to
 * exporter and are not looked at.
 * @throws model/file where something is not where a decoder of this spec has it
 */
export function findDecoderWeights(
  index: GraphIndex,
  constants: Constants,
  spec: ModelSpec,
  file: string,
): { readonly weights: NamedWeights; readonly notes: readonly string[] } {
  for (const node of index.graph.nodes) checkNode(node, file);
  const linears = findLinears(index, constants, file);
  const attentions = findAttentions(index, constants, linears, file);
  const mlps = findMlps(index, linears, spec.activation, file);
  const count = (what: string, found: number): void => {
    if (found !== spec.layers) refuseGraph(file, `it has ${found} ${what}, config.json says ${spec.layers} layers`);
  };
  count('attentions', attentions.length);
  count('gated MLPs', mlps.length);

  const weights: NamedWeights = new Map();
  const notes: string[] = [];
  const norm = (name: string, weight: Weight | null): void => {
    if (!weight) refuseGraph(file, `no norm was found for ${name}`);
    else weights.set(name, spec.normOffset === 0 ? weight : lessOne(weight));
  };
  const linear = (name: string, { weight, bias }: Pick<Linear, 'weight' | 'bias'>): void => {
    weights.set(`${name}.weight`, weight);
    if (bias) weights.set(`${name}.bias`, bias);
  };
  for (let layer = 0; layer < spec.layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const { q, k, v, o, qNorm, kNorm, node } = attentions[layer];
    const { gate, up, down } = mlps[layer];
    checkHeads(node, spec, file);
    const parts = splitFused([q, k, v], spec, file);
    linear(`${prefix}.self_attn.q_proj`, parts[0]);
    linear(`${prefix}.self_attn.k_proj`, parts[1]);
    linear(`${prefix}.self_attn.v_proj`, parts[2]);
    linear(`${prefix}.self_attn.o_proj`, o);
    linear(`${prefix}.mlp.gate_proj`, gate);
    linear(`${prefix}.mlp.up_proj`, up);
    linear(`${prefix}.mlp.down_proj`, down);
    norm(`${prefix}.input_layernorm.weight`, normBefore(index, constants, q.input));
    const beforeMlp = normBefore(index, constants, gate.input);
    if (spec.sandwichNorm) {
      norm(`${prefix}.post_attention_layernorm.weight`, normAfter(index, constants, o.output));
      norm(`${prefix}.pre_feedforward_layernorm.weight`, beforeMlp);
      norm(`${prefix}.post_feedforward_layernorm.weight`, normAfter(index, constants, down.output));
    } else norm(`${prefix}.post_attention_layernorm.weight`, beforeMlp);
    if (!spec.headNorm && (qNorm || kNorm))
      refuseNode(node, `takes queries or keys that pass a norm, which ${spec.family} does not have`, file);
    if (spec.headNorm) {
      norm(`${prefix}.self_attn.q_norm.weight`, qNorm);
      norm(`${prefix}.self_attn.k_norm.weight`, kNorm);
    }
  }
  weights.set('model.embed_tokens.weight', findEmbedding(index, constants, spec, file));

  const used = new Set([
    ...attentions.flatMap(({ q, k, v, o }) => [q, k, v, o]),
    ...mlps.flatMap(({ gate, up, down }) => [gate, up, down]),
  ]);
  const head = findHead(index, linears, used);
  if (head) {
    norm('model.norm.weight', normBefore(index, constants, head.input));
    if (!spec.tiedHead) linear('lm_head', head);
    else notes.push('The head of the ONNX file is not used: config.json says that it is the embedding.');
  } else norm('model.norm.weight', normBefore(index, constants, index.graph.outputs[0] ?? ''));
  const left = linears.filter((one) => one !== head && !used.has(one));
  if (left.length > 0) notes.push(`${left.length} products of the ONNX file have no place in the model and are not used.`);
  return { weights, notes };
}

/** Products that hold weights in forms that are not read. Without a word about them the graph would seem to have no layers. */
const unread: ReadonlySet<string> = new Set([
  'MatMulBnb4',
  'MatMulFpQ4',
  'MatMulNBitsMlp',
  'MatMulNBitsQkv',
  'MoE',
  'QLinearMatMul',
  'QMoE',
]);

function checkNode(node: OnnxNode, file: string): void {
  if (unread.has(node.op)) refuseNode(node, 'is a product whose weights are not read', file);
  if (node.op === 'SkipSimplifiedLayerNormalization' && node.inputs[3]) refuseNode(node, 'adds a bias, which is not read', file);
  if (node.op === 'MultiHeadAttention' && node.inputs[3]) refuseNode(node, 'adds biases to q, k and v, which are not read', file);
}

/** Gemma's norms multiply by 1 + weight; exports have the sum. */
function lessOne(weight: Weight): Weight {
  return {
    ...weight,
    dtype: 'F32',
    transposed: undefined,
    read: async (first, count, signal) => (await weight.read(first, count, signal)).map((value) => value - 1),
  };
}

function checkHeads(node: OnnxNode, spec: ModelSpec, file: string): void {
  const expected: readonly (readonly [string, number])[] = [
    ['num_heads', spec.heads],
    ['kv_num_heads', spec.kvHeads],
  ];
  for (const [key, value] of expected) {
    const stated = node.numbers.get(key) ?? value;
    if (stated !== value) refuseNode(node, `has ${key} ${stated}, config.json says ${value}`, file);
  }
}

/** Rows of one product that are q, k and v, one after the other; three products stay as they are. */
function splitFused(linears: readonly Linear[], spec: ModelSpec, file: string): readonly Pick<Linear, 'weight' | 'bias'>[] {
  const [q, k, v] = linears;
  if (q !== k && q !== v && k !== v) return linears;
  if (q !== k || k !== v) return refuseGraph(file, 'two of q, k and v are one product; all three or none are expected');
  const sizes = [spec.heads, spec.kvHeads, spec.kvHeads].map((heads) => heads * spec.headDim);
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (sum !== q.weight.rows) return refuseGraph(file, `q, k and v are one product of ${q.weight.rows} outputs, config.json needs ${sum}`);
  let at = 0;
  return sizes.map((rows) => {
    const from = at;
    at += rows;
    return { weight: someRows(q.weight, from, rows), bias: q.bias && someColumns(q.bias, from, rows) };
  });
}

function someRows(weight: Weight, from: number, rows: number): Weight {
  return { ...weight, rows, transposed: undefined, read: (first, count, signal) => weight.read(from + first, count, signal) };
}

function someColumns(vector: Weight, from: number, cols: number): Weight {
  const read: Weight['read'] = async (first, count, signal) => (await vector.read(first, count, signal)).slice(from, from + cols);
  return { ...vector, cols, transposed: undefined, read };
}

/** A table of one row a token that is looked up by something that comes straight from an input. */
function findEmbedding(index: GraphIndex, constants: Constants, spec: ModelSpec, file: string): Weight {
  const straight = new Set(['Cast', 'Identity', 'Reshape', 'Unsqueeze', 'Squeeze', 'Flatten']);
  for (const node of index.graph.nodes) {
    if (node.op !== 'Gather' && node.op !== 'GatherBlockQuantized') continue;
    const [table, ids] = node.inputs;
    if (!index.isConstant(table) || !index.graph.inputs.includes(index.origin(ids, straight))) continue;
    const weight = embeddingOf(index, constants, node, table);
    if (weight && weight.rows === spec.vocab && weight.cols === spec.hidden) return weight;
  }
  return refuseGraph(file, `it looks up no table of ${spec.vocab} tokens by ${spec.hidden}, as config.json has it`);
}

function embeddingOf(index: GraphIndex, constants: Constants, node: OnnxNode, table: string): Weight | null {
  if (node.op === 'GatherBlockQuantized') return constants.gatherBlockQuantized(node);
  const plain = constants.weight(table);
  if (plain) return plain;
  // Rows are looked up as integers and dequantised after.
  const tensor = constants.tensor(table);
  const after = index.usersOf(node.outputs[0]).find(({ op }) => op === 'DequantizeLinear');
  return tensor && after && tensor.dims.length === 2 ? constants.dequantized(after, tensor) : null;
}

/** The product that the first output, the logits, comes from; null where the file has none (exports for reading states). */
function findHead(index: GraphIndex, linears: readonly Linear[], used: ReadonlySet<Linear>): Linear | null {
  const logits = index.graph.outputs.find((name) => name === 'logits') ?? index.graph.outputs[0];
  if (logits === undefined) return null;
  const behind = linearsBehind(index, new Map(linears.map((linear) => [linear.output, linear])), logits);
  return behind.length === 1 && !used.has(behind[0]) ? behind[0] : null;
}
