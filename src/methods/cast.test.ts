import { describe, expect, it } from 'vitest';
import { context, makeData, pairedRows, shape } from '../../test/methods/planted.ts';
import type { EditNode } from '../graph/document.ts';
import { cast } from './cast.ts';
import type { FitData, Fitted } from './method.ts';

const edits = (fit: Fitted): EditNode[] => fit.graph.document.nodes.filter((node): node is EditNode => 'edit' in node);

/** Behaviour differs in column 3 of layer 3, the condition in column 5 of layer 1. */
const behaviour = (): FitData =>
  makeData(pairedRows(30), ['resid_post'], (row, layer, column) => (layer === 3 && column === 3 ? 6 * row.label : 0));
const condition = (paired = true): FitData => {
  const rows = pairedRows(20).map((row) => (paired ? row : { ...row, pair: -1 }));
  return makeData(rows, ['resid_post'], (row, layer, column) => (layer === 1 && column === 5 ? (row.label === 1 ? 9 : -9) : 0), 11);
};
const withCondition = (paired = true): FitData => {
  const { rows, tables } = condition(paired);
  return { ...behaviour(), condition: { rows, tables } };
};

describe('CAST', () => {
  it('finds the layer, the vector and the threshold of the condition, and steers above it', async () => {
    const fit = await cast.fit(withCondition(), {}, context());
    const { numbers } = fit.report;
    expect(numbers).toMatchObject({ conditionLayer: 1, f1: 1, opens: 'above' });
    const direction = fit.graph.vectors['condition'].data;
    expect(direction[5]).toBeGreaterThan(0.9);
    expect(fit.graph.document.nodes[0]).toEqual({
      id: 'condition',
      read: 'cosine',
      at: { point: 'resid_post', layer: 1 },
      tokens: 'last',
      vector: 'condition',
    });
    expect(fit.ranking[0]).toEqual(['resid_post.3']);
    expect(
      edits(fit)
        .map(({ at }) => at.layer)
        .sort(),
    ).toEqual([2, 3]);
    for (const node of edits(fit)) expect(node.when).toEqual({ read: 'condition', above: expect.any(Number) as number, hold: 'last' });
  });

  it('takes the labelled texts for the condition where there are no others, and says so', async () => {
    const fit = await cast.fit(
      makeData(pairedRows(30), ['resid_post'], (row, _, column) => (column === 3 ? 6 * row.label : 0)),
      {},
      context(),
    );
    expect(fit.report.notes.join(' ')).toContain('No texts for the condition');
    expect(fit.report.numbers['f1']).toBeGreaterThan(0.9);
  });

  it('takes the mean difference of unpaired texts', async () => {
    const fit = await cast.fit(withCondition(false), {}, context());
    expect(fit.report.numbers['conditionLayer']).toBe(1);
    expect(fit.report.notes.join(' ')).toContain('not paired');
  });

  it('reads the condition below the steered layer, whatever is asked for', async () => {
    const fit = await cast.fit(withCondition(), { layer: 1 }, context());
    expect(fit.report.numbers['conditionLayer']).toBe(0);
    expect(edits(fit).map(({ at }) => at.layer)).toEqual([1]);
    const chosen = await cast.fit(withCondition(), { conditionLayer: 2 }, context());
    expect(edits(chosen).map(({ at }) => at.layer)).toEqual([3]);
    const wrong = (settings: Record<string, number>): Promise<unknown> =>
      cast.fit(withCondition(), settings, context()).then(
        () => 'fitted',
        (error: unknown) => (error as { code: string }).code,
      );
    expect(await wrong({ layer: 0 })).toBe('method/settings');
    expect(await wrong({ layer: 2, conditionLayer: 2 })).toBe('method/settings');
    expect(await wrong({ conditionLayer: 3 })).toBe('method/settings');
    expect(await wrong({ layer: shape.layers })).toBe('method/settings');
  });
});
