import { describe, expect, it } from 'vitest';
import { shape } from '../../test/methods/planted.ts';
import { compilePlan } from '../graph/compile.ts';
import { checkAligned, patchingGraph, patchingReport } from './patching.ts';

const layers = Array.from({ length: shape.layers }, (_, layer) => Float32Array.from({ length: 2 * 24 }, (_, i) => 100 * layer + i));

describe('patching', () => {
  it('sets each head to its own clean activation, one lane a head', () => {
    const { graph, lanes, places } = patchingGraph(shape, { point: 'z', positions: [3, 5], layers });
    expect(lanes).toHaveLength(shape.layers * shape.heads);
    expect(places[shape.heads + 2]).toEqual({ layer: 1, head: 2 });
    const { plan, refusals } = compilePlan({ graph, shape, vocab: 10, lanes });
    expect(refusals).toEqual([]);
    const edit = plan.edits.find(({ id }) => id === 'h1.2@5');
    expect(edit).toMatchObject({ edit: 'set', point: 'z', layer: 1, start: 12, width: 6 });
    expect([...(edit?.vector ?? [])]).toEqual([...layers[1].subarray(24 + 12, 24 + 18)]);
    expect(lanes[6]).toEqual({ name: 'h1.2', strengths: { 'h1.2@3': 1, 'h1.2@5': 1 } });
  });

  it('patches whole layers where the point has no heads', () => {
    const wide = Array.from({ length: shape.layers }, () => new Float32Array(shape.hidden).fill(1));
    const { graph, lanes } = patchingGraph(shape, { point: 'resid_post', positions: [0], layers: wide });
    expect(lanes.map(({ name }) => name)).toEqual(['resid_post.0', 'resid_post.1', 'resid_post.2', 'resid_post.3']);
    expect(compilePlan({ graph, shape, vocab: 10, lanes }).refusals).toEqual([]);
  });

  it('reports the share of the clean difference that a place gives back', () => {
    const places = [
      { layer: 0, head: 0 },
      { layer: 0, head: 1 },
      { layer: 1, head: 0 },
    ];
    const report = patchingReport(places, { clean: 3, corrupted: -1, patched: [-1, 3, 1] });
    expect(report.places.map(({ layer, head, score }) => [layer, head, score])).toEqual([
      [0, 1, 1],
      [1, 0, 0.5],
      [0, 0, 0],
    ]);
  });

  it('refuses what cannot be compared', () => {
    expect(() => checkAligned(7, 8)).toThrow(/7 and 8 tokens/);
    checkAligned(7, 7);
    expect(() => patchingReport([{ layer: 0 }], { clean: 1, corrupted: 1, patched: [1] })).toThrow(/same logit difference/);
    expect(() => patchingReport([{ layer: 0 }], { clean: 1, corrupted: 0, patched: [NaN] })).toThrow(/finite/);
    expect(() => patchingGraph(shape, { point: 'z', positions: [], layers })).toThrow(/no position/);
    expect(() => patchingGraph(shape, { point: 'z', positions: [1], layers })).toThrow(/48 numbers for 1/);
    const many = { ...shape, layers: 5000 };
    expect(() => patchingGraph(many, { point: 'z', positions: [0, 1, 2, 3], layers: new Array<Float32Array>(5000) })).toThrow(/80000/);
  });
});
