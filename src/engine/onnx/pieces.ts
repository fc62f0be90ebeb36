import type { ModelSpec } from '../../model/spec.ts';
import { product, type AccuracyLevel, type Matrix } from './matrix.ts';
import { ModelGraph, type PieceModel } from './model-proto.ts';

/**
 * The forward pass as ONNX models, one per piece: what lies between two pieces is in plain arrays, where edits and captures happen, so
 * no model depends on an intervention graph. Every weight is in exactly one piece. Rows are tokens of any sequences, in any number.
 *
 *   qkv        x -> q, k, v            norm, products, biases, head norms; before rotary embedding
 *   attention  q, cache, mask -> z     no weights: the same for all layers
 *   output     z, x -> attn_out, y     o_proj, norm after it where the family has one, residual sum
 *   gateUp     x -> up, act, hidden    norm, gate, up, activation
 *   down       hidden, x -> mlp_out, y
 *   head       x -> logits             the final norm is a piece of its own, because a graph may edit what it gives
 */

/** Norm weights already include the family's offset. */
export interface PieceContext {
  readonly spec: ModelSpec;
  readonly level: AccuracyLevel;
}

const ROWS = 'rows';

function norm(graph: ModelGraph, spec: ModelSpec, name: string, weight: Float32Array, x: string, y: string): string {
  const scale = graph.constant(`${name}.norm`, [weight.length], weight);
  return graph.node('SimplifiedLayerNormalization', [x, scale], y, { axis: -1, epsilon: { float: spec.normEps }, stash_type: 1 });
}

export interface QkvWeights {
  readonly norm: Float32Array;
  readonly q: Matrix;
  readonly k: Matrix;
  readonly v: Matrix;
  readonly qNorm: Float32Array | null;
  readonly kNorm: Float32Array | null;
}

export function qkvPiece({ spec, level }: PieceContext, weights: QkvWeights): PieceModel {
  const graph = new ModelGraph();
  graph.input('x', [ROWS, spec.hidden]);
  norm(graph, spec, 'input', weights.norm, 'x', 'normed');
  const projected = (name: 'q' | 'k' | 'v', headNorm: Float32Array | null, heads: number): void => {
    product(graph, name, weights[name], 'normed', headNorm ? `${name}.flat` : name, level);
    if (headNorm) {
      const split = graph.constant(`${name}.split`, [3], BigInt64Array.from([0n, BigInt(heads), BigInt(spec.headDim)]), 'int64');
      const join = graph.constant(`${name}.join`, [2], BigInt64Array.from([0n, BigInt(heads * spec.headDim)]), 'int64');
      graph.node('Reshape', [`${name}.flat`, split], `${name}.heads`);
      norm(graph, spec, name, headNorm, `${name}.heads`, `${name}.normed`);
      graph.node('Reshape', [`${name}.normed`, join], name);
    }
    graph.output(name, [ROWS, heads * spec.headDim]);
  };
  projected('q', weights.qNorm, spec.heads);
  projected('k', weights.kNorm, spec.kvHeads);
  projected('v', null, spec.kvHeads);
  return graph.finish();
}

/**
 * Attention of consecutive positions of one sequence. q is [1, positions, heads * head_dim], rotated; k and v, [1, keys, kv_heads *
 * head_dim], are what the cache holds up to the last of them. The mask, [positions, keys], is added to the scores; a single position
 * needs none.
 */
export function attentionPiece(spec: ModelSpec, masked: boolean): PieceModel {
  const graph = new ModelGraph();
  const inputs = [
    graph.input('q', [1, ROWS, spec.heads * spec.headDim]),
    graph.input('k', [1, 'keys', spec.kvHeads * spec.headDim]),
    graph.input('v', [1, 'keys', spec.kvHeads * spec.headDim]),
  ];
  if (masked) inputs.push(graph.input('mask', [ROWS, 'keys']));
  graph.node('Attention', inputs, 'z', {
    q_num_heads: spec.heads,
    kv_num_heads: spec.kvHeads,
    scale: { float: spec.attentionScale },
  });
  graph.output('z', [1, ROWS, spec.heads * spec.headDim]);
  return graph.finish();
}

export interface BlockOutputWeights {
  readonly matrix: Matrix;
  /** Norm of the block's output before it is added, or null. */
  readonly postNorm: Float32Array | null;
}

/** block(z) and x + block(z): `out` is the product before any norm, `y` the new residual stream. Serves o_proj and down_proj. */
export function blockOutputPiece({ spec, level }: PieceContext, { matrix, postNorm }: BlockOutputWeights): PieceModel {
  const graph = new ModelGraph();
  graph.input('inner', [ROWS, matrix.inputs]);
  graph.input('x', [ROWS, spec.hidden]);
  product(graph, 'out', matrix, 'inner', 'out', level);
  const added = postNorm ? norm(graph, spec, 'post', postNorm, 'out', 'normed') : 'out';
  graph.node('Add', ['x', added], 'y');
  graph.output('out', [ROWS, spec.hidden]);
  graph.output('y', [ROWS, spec.hidden]);
  return graph.finish();
}

export interface GateUpWeights {
  readonly norm: Float32Array;
  readonly gate: Matrix;
  readonly up: Matrix;
}

export function gateUpPiece({ spec, level }: PieceContext, weights: GateUpWeights): PieceModel {
  const graph = new ModelGraph();
  graph.input('x', [ROWS, spec.hidden]);
  norm(graph, spec, 'mlp', weights.norm, 'x', 'normed');
  product(graph, 'gate', weights.gate, 'normed', 'gate', level);
  product(graph, 'up', weights.up, 'normed', 'up', level);
  if (spec.activation === 'silu') {
    graph.node('Sigmoid', ['gate'], 'sigmoid');
    graph.node('Mul', ['gate', 'sigmoid'], 'act');
  } else {
    graph.node('Gelu', ['gate'], 'act', { approximate: 'tanh' });
  }
  graph.node('Mul', ['act', 'up'], 'hidden');
  for (const name of ['up', 'act', 'hidden']) graph.output(name, [ROWS, spec.intermediate]);
  return graph.finish();
}

export function normPiece({ spec }: PieceContext, weight: Float32Array): PieceModel {
  const graph = new ModelGraph();
  graph.input('x', [ROWS, spec.hidden]);
  norm(graph, spec, 'final', weight, 'x', 'y');
  graph.output('y', [ROWS, spec.hidden]);
  return graph.finish();
}

export function headPiece({ spec, level }: PieceContext, matrix: Matrix): PieceModel {
  const graph = new ModelGraph();
  graph.input('x', [ROWS, spec.hidden]);
  product(graph, 'head', matrix, 'x', 'logits', level);
  graph.output('logits', [ROWS, matrix.outputs]);
  return graph.finish();
}
