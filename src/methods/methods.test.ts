import { describe, expect, it } from 'vitest';
import { context, makeData, pairedRows, permuted, shape, shuffledIndices } from '../../test/methods/planted.ts';
import { compilePlan } from '../graph/compile.ts';
import type { EditNode } from '../graph/document.ts';
import { readGraph, writeGraph } from '../graph/vectors.ts';
import { laneStrengths } from './lane.ts';
import type { FitData, Method } from './method.ts';
import { methodNamed, methods } from './methods.ts';
import { readSettings } from './settings.ts';

const rows = [...pairedRows(30), ...pairedRows(6, () => 'test').map((row) => ({ ...row, pair: row.pair + 1000 }))];
const dataFor = (method: Method, testRows = 0): FitData => {
  const settings = readSettings(method, {});
  const points = method.captures(settings, shape).map(({ point }) => point);
  return makeData(rows, points, (row, layer, column) =>
    row.part === 'test' ? testRows : row.label * (layer === 2 && column < 6 ? 1.5 : 0.1),
  );
};

describe('the table of methods', () => {
  it('has unique names that can be looked up', () => {
    expect(new Set(methods.map(({ name }) => name)).size).toBe(methods.length);
    for (const method of methods) expect(methodNamed(method.name)).toBe(method);
    expect(() => methodNamed('itis')).toThrow(/no method "itis"/);
  });

  it.each(methods.map((method) => [method.name, method] as const))(
    '%s: defaults are in range, and every setting is described',
    (_, method) => {
      expect(readSettings(method, {})).toBeTruthy();
      for (const row of Object.values(method.settings)) expect(row.doc.length).toBeGreaterThan(10);
    },
  );

  describe.each(methods.map((method) => [method.name, method] as const))('%s', (_, method) => {
    it('gives a graph that runs, whose ranking names its edits, each once', async () => {
      const fit = await method.fit(dataFor(method), {}, context());
      const ids = fit.graph.document.nodes.flatMap((node) => ('edit' in node ? [node.id] : []));
      expect([...fit.ranking.flat(), ...(fit.fixed ?? [])].sort()).toEqual([...ids].sort());
      expect(fit.chosen).toBeGreaterThanOrEqual(1);
      expect(fit.chosen).toBeLessThanOrEqual(fit.ranking.length);
      const lanes = [{}, { strengths: laneStrengths(fit, 1) }, { strengths: laneStrengths(fit, 2, fit.ranking.length) }];
      expect(compilePlan({ graph: fit.graph, shape, vocab: 10, lanes }).refusals).toEqual([]);
      const { json, safetensors } = writeGraph(fit.graph);
      expect(readGraph(json, safetensors).document.nodes).toEqual(fit.graph.document.nodes);
      for (const node of fit.graph.document.nodes) expect(Number.isFinite((node as EditNode).strength ?? 1)).toBe(true);
    });

    it('reports in plain JSON: places in order of rank, settings complete', async () => {
      const { report } = await method.fit(dataFor(method), {}, context());
      expect(JSON.parse(JSON.stringify(report))).toEqual(report);
      expect(report.method).toBe(method.name);
      expect(report.settings).toEqual(readSettings(method, {}));
      expect(report.places.map(({ score }) => score)).toEqual(report.places.map(({ score }) => score).sort((a, b) => b - a));
      for (const { accuracy, interval } of report.places) {
        if (accuracy === undefined || interval === undefined) continue;
        expect(interval[0]).toBeLessThanOrEqual(accuracy);
        expect(interval[1]).toBeGreaterThanOrEqual(accuracy);
      }
    });

    it('gives the same for the same seed, and never looks at test rows', async () => {
      const fit = await method.fit(dataFor(method), {}, context(2));
      expect((await method.fit(dataFor(method), {}, context(2))).graph).toEqual(fit.graph);
      const other = dataFor(method, 1e4);
      // The noise of other rows is the same; only test rows differ.
      expect((await method.fit(other, {}, context(2))).graph).toEqual(fit.graph);
    });

    it('does not mind the order of rows', async () => {
      const data = dataFor(method);
      const fit = await method.fit(data, {}, context(2));
      const moved = await method.fit(await permuted(data, shuffledIndices(rows.length, 4)), {}, context(2));
      expect(moved.ranking[0]).toEqual(fit.ranking[0]);
      expect(moved.report.places.map(({ layer, head, element }) => [layer, head, element])).toEqual(
        fit.report.places.map(({ layer, head, element }) => [layer, head, element]),
      );
      for (const [name, { data: values }] of Object.entries(fit.graph.vectors))
        values.forEach((value, i) => expect(moved.graph.vectors[name].data[i]).toBeCloseTo(value, 4));
    });

    it('stops when told to, and says what is wrong with settings and data', async () => {
      const data = dataFor(method);
      await expect(method.fit(data, {}, context(1, { signal: AbortSignal.abort() }))).rejects.toMatchObject({ code: 'request/aborted' });
      await expect(method.fit(data, { nonsense: 1 }, context())).rejects.toMatchObject({ code: 'method/settings' });
      await expect(method.fit({ ...data, tables: {} }, {}, context())).rejects.toMatchObject({ code: 'method/data' });
      const one = { ...data, rows: rows.map((row) => ({ ...row, label: 1 as const, pair: -1 })) };
      await expect(method.fit(one, {}, context())).rejects.toMatchObject({ code: 'method/data' });
      if (method.needs === 'pairs') {
        const unpaired = { ...data, rows: rows.map((row) => ({ ...row, pair: -1 })) };
        await expect(method.fit(unpaired, {}, context())).rejects.toMatchObject({
          code: 'method/data',
          message: expect.stringContaining('no pair') as string,
        });
      }
    });

    it('refuses activations that are not numbers', async () => {
      const data = dataFor(method);
      const broken = Object.fromEntries(
        Object.entries(data.tables).map(([point, table]) => [
          point,
          { ...table, layer: async (layer: number) => (await table.layer(layer)).fill(Infinity, 5, 6) },
        ]),
      );
      await expect(method.fit({ ...data, tables: broken }, {}, context())).rejects.toMatchObject({
        code: 'method/data',
        message: expect.stringContaining('Infinity') as string,
      });
    });
  });
});
