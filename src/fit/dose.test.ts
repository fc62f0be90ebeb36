import { describe, expect, it } from 'vitest';
import { compilePlan } from '../graph/compile.ts';
import type { BoundGraph, Lane } from '../graph/document.ts';
import type { PlannedEdit } from '../graph/plan.ts';
import { buildGraph } from '../graph/vectors.ts';
import { laneStrengths } from '../methods/lane.ts';
import { doseGraph } from './dose.ts';

const shape = { family: 'llama', layers: 2, heads: 4, kvHeads: 2, headDim: 2, hidden: 8, intermediate: 12 };
const graph = buildGraph({
  name: 'a fit',
  model: shape,
  vectors: {
    t: { shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
    gate: { shape: [8], data: new Float32Array(8).fill(1) },
    mask: { shape: [1, 2], data: Float32Array.of(1, 0) },
  },
  nodes: [
    { id: 'unused read', read: 'norm', at: { point: 'resid_pre', layer: 0 }, tokens: 'all' },
    { id: 'gate', read: 'dot', at: { point: 'resid_pre', layer: 0 }, tokens: 'all', vector: 'gate' },
    { id: 'a', edit: 'add', at: { point: 'z', layer: 0, head: 1 }, tokens: 'all', vector: ['t', 0], strength: 2 },
    { id: 'b', edit: 'add', at: { point: 'z', layer: 1, head: 0 }, tokens: 'all', vector: ['t', 2], when: { read: 'gate', above: 0 } },
    { id: 'c', edit: 'scale', at: { point: 'z', layer: 1, head: 3 }, tokens: 'last', mask: 'mask', strength: 5 },
    {
      id: 'pin',
      edit: 'set',
      at: { point: 'z', layer: 0, head: 2 },
      tokens: 'last',
      vector: { from: { lane: 0, point: 'z', layer: 0, head: 2, tokens: 'last' } },
    },
  ],
});
const fitted = { graph, ranking: [['b'], ['a'], ['c']], chosen: 2, fixed: ['pin'] };

const edits = (bound: BoundGraph, lane: Lane): unknown[] => {
  const { plan, refusals } = compilePlan({ graph: bound, shape, vocab: 10, lanes: [{}, lane] });
  expect(refusals).toEqual([]);
  const show = ({ id, edit, point, layer, start, vector, mask, gate, index }: PlannedEdit): unknown => ({
    ...{ id, edit, point, layer, start, vector, mask },
    gated: gate !== null,
    strength: plan.strengthOf(1, index),
  });
  return plan.edits.filter((edit) => plan.strengthOf(1, edit.index) !== null).map(show);
};

describe('a dosed graph', () => {
  it.each([
    [0.5, 1],
    [2, 2],
    [-1, 3],
  ])('at factor 1 does what strength %d on %d places does', (strength, count) => {
    expect(edits(doseGraph(fitted, strength, count), { strengths: { '*': 1 } })).toEqual(
      edits(graph, { strengths: laneStrengths(fitted, strength, count) }),
    );
  });

  it('leaves out what it does not use', () => {
    const { document } = doseGraph(fitted, 1, 1);
    expect(document.nodes.map((node) => node.id)).toEqual(['gate', 'b', 'pin']);
    expect(document.vectors).toMatchObject({ t: { shape: [1, 2] }, gate: { shape: [1, 8] } });
    expect(Object.keys(document.vectors ?? {})).not.toContain('mask');
  });
});
