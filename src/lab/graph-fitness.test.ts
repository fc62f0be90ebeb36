import { describe, expect, it } from 'vitest';
import type { BoundGraph } from '../graph/document.ts';
import { graphFitness, sameShape } from './graph-fitness.ts';

const shape = { family: 'llama', layers: 6, heads: 6, kvHeads: 6, headDim: 48, hidden: 288, intermediate: 768 };
const graph: BoundGraph = {
  document: {
    tiller: 1,
    model: shape,
    nodes: [{ id: 'a', edit: 'scale', at: { point: 'z', layer: 5, head: 1 }, tokens: 'all' }],
  },
  vectors: {},
};
const model = { ...shape, label: 'here', identity: 'w1' };

describe('whether a graph carries over', () => {
  it('fits the shape it was made on, whatever the weights are, where nothing is known of them', () => {
    expect(graphFitness(graph, undefined, model)).toEqual({ kind: 'fits', reasons: [] });
    expect(graphFitness(graph, { identity: 'w2', label: 'there' }, { ...model, identity: null }).kind).toBe('fits');
  });

  it('says that other weights are another space', () => {
    const { kind, reasons } = graphFitness(graph, { identity: 'w2', label: 'there' }, model);
    expect(kind).toBe('weights');
    expect(reasons.join(' ')).toContain('the space of there');
    expect(graphFitness(graph, { identity: 'w1', label: 'there' }, model).kind).toBe('fits');
  });

  it.each([
    ['family', 'gemma3', 'another'],
    ['layers', 5, 'layer 5, which does not exist here'],
    ['heads', 8, 'had 6 heads there and has 8 here'],
    ['kvHeads', 2, '6 keys and values there, 2 here'],
    ['headDim', 8, 'head_dim'],
    ['hidden', 64, '288 wide there and 64 here'],
    ['intermediate', 172, '768 wide there and 172 here'],
  ] as const)('names a difference in %s', (field, value, words) => {
    const other = { ...model, [field]: value };
    const { kind, reasons } = graphFitness(graph, { identity: 'w1', label: 'there' }, other);
    expect(kind).toBe('shape');
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toContain(words === 'another' ? 'gemma3' : words);
    expect(sameShape(shape, other)).toBe(false);
  });

  it('does not complain of a layer that is there', () => {
    expect(graphFitness(graph, undefined, { ...model, layers: 12 }).reasons[0]).not.toContain('does not exist');
  });
});
