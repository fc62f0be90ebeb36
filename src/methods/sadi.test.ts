import { describe, expect, it } from 'vitest';
import { context, makeData, memoryTable, pairedRows, permuted, shape, shuffledIndices, swapped } from '../../test/methods/planted.ts';
import { compilePlan } from '../graph/compile.ts';
import type { EditNode } from '../graph/document.ts';
import type { PointName } from '../graph/points.ts';
import { laneStrengths } from './lane.ts';
import type { FitData, Fitted } from './method.ts';
import { sadi } from './sadi.ts';

/** Mean differences of the training pairs, element by element, in the plainest way. */
async function differences(data: FitData, point: PointName): Promise<number[][]> {
  const table = data.tables[point];
  if (!table) throw new Error('no table');
  const pairs = [...new Set(data.rows.filter((row) => row.part === 'train').map((row) => row.pair))];
  const out: number[][] = [];
  for (let layer = 0; layer < shape.layers; layer++) {
    const values = await table.layer(layer);
    const row = (pair: number, label: 0 | 1): Float32Array => {
      const index = data.rows.findIndex((candidate) => candidate.pair === pair && candidate.label === label);
      return values.subarray(index * table.width, (index + 1) * table.width);
    };
    out.push(
      Array.from({ length: table.width }, (_, i) => pairs.reduce((sum, pair) => sum + row(pair, 1)[i] - row(pair, 0)[i], 0) / pairs.length),
    );
  }
  return out;
}

const places = (fit: Fitted): string[] => fit.report.places.map(({ layer, head, element }) => `${layer}.${head ?? element}`);
const edits = (fit: Fitted): EditNode[] => fit.graph.document.nodes.filter((node): node is EditNode => 'edit' in node);
const maskOf = (fit: Fitted, node: EditNode): number[] => {
  const { shape: size, data } = fit.graph.vectors['mask'];
  const row = Array.isArray(node.mask) ? Number(node.mask[1]) : 0;
  return [...data.subarray(row * size[1], (row + 1) * size[1])];
};

describe('SADI', () => {
  it.each([
    ['neurons', 'mlp_act'],
    ['hidden', 'mlp_out'],
  ] as const)('chooses the same %s as brute force', async (site, point) => {
    const data = makeData(pairedRows(15), [point]);
    const wanted = (await differences(data, point)).flatMap((row, layer) =>
      row.map((value, element) => ({ value, name: `${layer}.${element}` })),
    );
    for (const score of ['signed', 'absolute'] as const) {
      const key = (value: number): number => (score === 'signed' ? value : Math.abs(value));
      const order = [...wanted].sort((a, b) => key(b.value) - key(a.value)).map(({ name }) => name);
      const fit = await sadi.fit(data, { site, score, count: 7, hold: 9 }, context());
      expect(places(fit)).toEqual(order);
      expect(fit.ranking.map(([id]) => id)).toEqual(order.slice(0, 9).map((name) => `${point}.${name}`));
      expect(fit.chosen).toBe(7);
      for (const node of edits(fit)) {
        const mask = maskOf(fit, node);
        expect(mask.map((value, element) => ({ value, element })).filter(({ value }) => value !== 0)).toEqual([
          { value: 1, element: Number(node.id.split('.')[2]) },
        ]);
      }
    }
  });

  it('scores a head by the mean over its numbers', async () => {
    const data = makeData(pairedRows(15), ['z']);
    const all = await differences(data, 'z');
    const scores = all.flatMap((row, layer) =>
      Array.from({ length: shape.heads }, (_, head) => {
        const part = row.slice(head * shape.headDim, (head + 1) * shape.headDim);
        return { name: `${layer}.${head}`, value: part.reduce((sum, value) => sum + value, 0) / shape.headDim };
      }),
    );
    const fit = await sadi.fit(data, { site: 'heads', count: 3 }, context());
    expect(places(fit)).toEqual([...scores].sort((a, b) => b.value - a.value).map(({ name }) => name));
    expect(fit.report.places[0].score).toBeCloseTo(Math.max(...scores.map(({ value }) => value)), 10);
    expect(edits(fit)[0]).toMatchObject({ edit: 'scale', tokens: 'last', strength: 4, at: { point: 'z' } });
    expect(edits(fit)[0].mask).toBeUndefined();
  });

  it('ranks by t where asked: the mean over its standard error', async () => {
    // Head 0 of layer 0 differs more, head 1 more surely.
    const data = makeData(pairedRows(20), ['z'], (row, layer, column) => {
      if (row.label === 0 || layer > 0) return 0;
      return column < shape.headDim ? (row.pair % 2 === 0 ? 9 : -2) : column < 2 * shape.headDim ? 3 : 0;
    });
    expect(places(await sadi.fit(data, { score: 'signed' }, context()))[0]).toBe('0.0');
    expect(places(await sadi.fit(data, { score: 't' }, context()))[0]).toBe('0.1');
  });

  it('reverses its scores when the classes are exchanged, and does not mind the order of rows', async () => {
    const data = makeData(pairedRows(10), ['mlp_act']);
    const fit = await sadi.fit(data, { site: 'neurons' }, context());
    const back = await sadi.fit(swapped(data), { site: 'neurons' }, context());
    expect(places(back)).toEqual([...places(fit)].reverse());
    const moved = await sadi.fit(await permuted(data, shuffledIndices(data.rows.length, 3)), { site: 'neurons' }, context());
    expect(places(moved)).toEqual(places(fit));
  });

  it('uses training pairs only', async () => {
    const data = makeData(pairedRows(10), ['z']);
    const fit = await sadi.fit(data, {}, context());
    const changed = makeData(pairedRows(10), ['z'], (row) => (row.part === 'validation' ? 1000 * row.label : 0));
    expect((await sadi.fit(changed, {}, context())).report.places).toEqual(fit.report.places);
  });

  it('holds the site at its unedited values in every layer when frozen, whatever the strength', async () => {
    const data = makeData(pairedRows(10), ['z']);
    const fit = await sadi.fit(data, { propagation: 'frozen', count: 2 }, context());
    expect(fit.fixed).toEqual(['pin.0', 'pin.1', 'pin.2', 'pin.3']);
    const lane = laneStrengths(fit, 0.5);
    expect(Object.values(lane).sort()).toEqual([0.5, 0.5, 1, 1, 1, 1]);
    expect(laneStrengths(fit, 0)).toEqual({});
    const { plan, refusals } = compilePlan({ graph: fit.graph, shape, vocab: 10, lanes: [{ name: 'as is' }, { strengths: lane }] });
    expect(refusals).toEqual([]);
    const layer = edits(fit).find((node) => node.edit === 'scale')?.at.layer ?? -1;
    expect(plan.at('z', layer).map((node) => node.id)[0]).toBe(`pin.${layer}`);
    await expect(sadi.fit(data, { propagation: 'frozen', tokens: 'generated' }, context())).rejects.toMatchObject({
      code: 'method/settings',
    });
  });

  it('says what is missing', async () => {
    const data = makeData(pairedRows(4), ['z']);
    const without: FitData = { ...data, rows: data.rows.map((row) => ({ ...row, pair: -1 })) };
    await expect(sadi.fit(without, {}, context())).rejects.toMatchObject({
      code: 'method/data',
      details: { problem: expect.stringContaining('no pair') as string },
    });
    await expect(sadi.fit({ ...data, tables: {} }, {}, context())).rejects.toMatchObject({ code: 'method/data' });
    const nan = new Float32Array(data.rows.length * 24).fill(NaN);
    await expect(sadi.fit({ ...data, tables: { z: memoryTable('z', 24, [nan, nan, nan, nan]) } }, {}, context())).rejects.toMatchObject({
      code: 'method/data',
      details: { problem: expect.stringContaining('row 0 holds NaN') as string },
    });
    await expect(sadi.fit(data, {}, context(1, { signal: AbortSignal.abort() }))).rejects.toMatchObject({ code: 'request/aborted' });
    await expect(sadi.fit(data, { sight: 'heads' }, context())).rejects.toMatchObject({ code: 'method/settings' });
  });
});
