import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BoundGraph } from '../graph/document.ts';
import { graphHash } from '../graph/hash.ts';
import { bindGraph } from '../graph/vectors.ts';
import { headNodes, headStrengths, otherNodes, rectangle, repaint, retoken, setHeads, withoutNode } from './heads.ts';
import { topHeads, type Palette } from './palette.ts';

const shape = { family: 'llama', layers: 3, heads: 4, kvHeads: 2, headDim: 2, hidden: 8, intermediate: 16 };
const palette = (factor: number): Palette => ({
  recipe: { kind: 'random', seed: 1 },
  layers: 3,
  heads: 4,
  headDim: 2,
  // Head 0 of layer 0 has no direction.
  data: Float32Array.from({ length: 24 }, (_, i) => (i < 2 ? 0 : factor * (i + 1))),
  relevance: Float32Array.from({ length: 12 }, (_, i) => i % 5),
  note: '',
});
const change = (row: number, strength: number | null) => ({ layer: Math.floor(row / 4), head: row % 4, strength });

describe('heads of a graph', () => {
  it('holds exactly the strengths that were set last, in order of layer and head, as a valid graph', () => {
    const edit = fc.tuple(fc.integer({ min: 1, max: 11 }), fc.option(fc.integer({ min: -4, max: 4 }), { nil: null }));
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 30 }), (edits) => {
        let graph: BoundGraph | null = null;
        const expected = new Map<number, number>();
        for (const [row, strength] of edits) {
          graph = setHeads(graph, shape, palette(1), 'generated', [change(row, strength)]);
          if (strength === null) expected.delete(row);
          else expected.set(row, strength);
        }
        expect(headStrengths(graph)).toEqual(new Map([...expected].sort(([a], [b]) => a - b)));
        expect([...headStrengths(graph).keys()]).toEqual([...expected.keys()].sort((a, b) => a - b));
        if (graph) expect(() => bindGraph(graph.document, graph.vectors)).not.toThrow();
        else expect(expected.size).toBe(0);
      }),
    );
  });

  it('gives one identity whatever the order of clicks', () => {
    const one = setHeads(null, shape, palette(1), 'all', [change(5, 1), change(2, 1)]);
    const other = setHeads(setHeads(null, shape, palette(1), 'all', [change(2, 1)]), shape, palette(1), 'all', [change(5, 1)]);
    expect(graphHash((one as BoundGraph).document)).toBe(graphHash((other as BoundGraph).document));
  });

  it('adds nothing for a head without a direction', () => {
    expect(setHeads(null, shape, palette(1), 'all', [change(0, 1)])).toBeNull();
  });

  it('keeps foreign nodes and their vectors when heads change', () => {
    const foreign: BoundGraph = {
      document: {
        tiller: 1,
        model: shape,
        vectors: { r: { shape: [8], data: [1, 2, 3, 4, 5, 6, 7, 8] } },
        nodes: [{ id: 'a', edit: 'ablate', at: { point: 'resid_post', layer: 1 }, tokens: 'all', vector: 'r' }],
      },
      vectors: { r: { shape: [8], data: Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8]) } },
    };
    const added = setHeads(foreign, shape, palette(1), 'last', [change(7, 2)]) as BoundGraph;
    expect(otherNodes(added)).toEqual(foreign.document.nodes);
    expect(setHeads(added, shape, palette(1), 'last', [change(7, null)])).toEqual(foreign);
    expect(withoutNode(added, 'a')?.vectors).not.toHaveProperty('r');
  });

  it('repaints with another palette at the same strengths, and moves selectors of its heads only', () => {
    const graph = setHeads(null, shape, palette(1), 'generated', [change(3, 1.5), change(8, -1)]);
    const other = repaint(graph, palette(2), 'generated') as BoundGraph;
    expect(headStrengths(other)).toEqual(headStrengths(graph));
    expect([...other.vectors['h0.3'].data]).toEqual([14, 16]);
    expect(headNodes(retoken(other, 'prompt')).map((node) => node.tokens)).toEqual(['prompt', 'prompt']);
  });

  it('spans rectangles in any direction', () => {
    expect(rectangle(shape, 1, 6)).toEqual([1, 2, 5, 6]);
    expect(rectangle(shape, 6, 1)).toEqual([1, 2, 5, 6]);
    expect(rectangle(shape, 2, 5)).toEqual([1, 2, 5, 6]);
  });

  it('ranks heads by relevance, those without a direction left out', () => {
    expect(topHeads(palette(1), 3)).toEqual([4, 9, 3]);
    expect(topHeads(palette(1), 99)).toHaveLength(11);
  });
});
