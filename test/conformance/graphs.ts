import type { BoundGraph, EditNode, GraphNode, Selector, VectorTable } from '../../src/graph/document.ts';
import { points, pointWidth, type ModelShape } from '../../src/graph/points.ts';
import { buildGraph } from '../../src/graph/vectors.ts';
import { noise } from '../../src/engine/random.ts';

/** Graphs that the invariants are tried on, for any model shape. */

/** A vector with entries of order one, the same for the same seed. */
export function direction(seed: number, width: number): Float32Array {
  return Float32Array.from({ length: width }, (_, i) => noise(seed, 0, i) - 0.58);
}

export const vector = (seed: number, width: number): VectorTable[string] => ({ shape: [width], data: direction(seed, width) });

export function graphOf(model: ModelShape, nodes: readonly GraphNode[], vectors: VectorTable = {}): BoundGraph {
  return buildGraph({ model, nodes, vectors });
}

/** One head moved at one layer. */
export function oneHead(model: ModelShape, layer: number, head: number, strength: number, tokens: Selector = 'all', seed = 7): BoundGraph {
  const nodes: GraphNode[] = [{ id: 'head', edit: 'add', at: { point: 'z', layer, head }, vector: 'v', strength, tokens }];
  return graphOf(model, nodes, { v: vector(seed, model.headDim) });
}

/** Every point, at the middle layer where it has one, with an edit that does nothing at this strength. */
export function everyPoint(model: ModelShape, vocab: number, strength: number): BoundGraph {
  const vectors: Record<string, VectorTable[string]> = {};
  const nodes: EditNode[] = [];
  points.forEach((row, i) => {
    const at = { point: row.point, ...(row.perLayer ? { layer: i % model.layers } : {}) };
    vectors[row.point] = vector(i, pointWidth(row.point, model, vocab));
    const common = { at, strength, tokens: 'all' } as const;
    nodes.push({ ...common, id: `${row.point}.add`, edit: 'add', vector: row.point });
    nodes.push({ ...common, id: `${row.point}.scale`, edit: 'scale' });
    nodes.push({ ...common, id: `${row.point}.ablate`, edit: 'ablate', vector: row.point });
    nodes.push({ ...common, id: `${row.point}.set`, edit: 'set', vector: row.point });
  });
  return graphOf(model, nodes, vectors);
}

/** A bit of everything: heads, masks, ablation, both kinds of gates, selectors of many kinds, a logit bias. */
export function rich(model: ModelShape, vocab: number): BoundGraph {
  const last = model.layers - 1;
  const { hidden, headDim, intermediate, heads, kvHeads } = model;
  const mask = { shape: [intermediate], data: Float32Array.from({ length: intermediate }, (_, i) => (i % 3 === 0 ? 1 : 0)) };
  const nodes: GraphNode[] = [
    { id: 'embed', edit: 'add', at: { point: 'embed' }, vector: 'h0', strength: 0.1, tokens: 'prompt' },
    { id: 'norm', read: 'norm', at: { point: 'embed' }, tokens: 'all' },
    { id: 'dot', read: 'dot', at: { point: 'resid_pre', layer: 0 }, vector: 'h1', tokens: 'all' },
    { id: 'key', edit: 'add', at: { point: 'k', layer: 0, head: kvHeads - 1 }, vector: 'd0', strength: 0.5, tokens: { from: 1, to: -1 } },
    {
      id: 'each',
      edit: 'add',
      at: { point: 'z', layer: 1, head: 0 },
      vector: 'd0',
      strength: 1.5,
      tokens: 'all',
      when: { read: 'dot', above: 0 },
    },
    { id: 'head', edit: 'add', at: { point: 'z', layer: 1, head: heads - 1 }, vector: 'd1', strength: 2, tokens: 'generated' },
    { id: 'neurons', edit: 'scale', at: { point: 'mlp_act', layer: 1 }, mask: 'm', strength: -0.5, tokens: 'all' },
    {
      id: 'held',
      edit: 'add',
      at: { point: 'resid_post', layer: 1 },
      vector: 'h2',
      strength: 0.3,
      tokens: 'all',
      when: { read: 'norm', above: 0, hold: 'last' },
    },
    { id: 'ablate', edit: 'ablate', at: { point: 'resid_post', layer: last }, vector: 'h1', strength: 0.7, tokens: { not: { at: [2] } } },
    { id: 'cap', edit: 'cap', at: { point: 'mlp_out', layer: last }, vector: 'h2', strength: 0.2, tokens: 'answer' },
    { id: 'bias', edit: 'add', at: { point: 'logits' }, vector: 'l', strength: 0.2, tokens: 'all' },
  ];
  return graphOf(model, nodes, {
    h0: vector(1, hidden),
    h1: vector(2, hidden),
    h2: vector(3, hidden),
    d0: vector(4, headDim),
    d1: vector(5, headDim),
    l: vector(6, vocab),
    m: mask,
  });
}
