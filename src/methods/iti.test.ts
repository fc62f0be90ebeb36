import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { context, makeData, memoryTable, pairedRows, permuted, shape, shuffledIndices, swapped } from '../../test/methods/planted.ts';
import { parseSafetensors, tensorF32 } from '../formats/safetensors.ts';
import type { EditNode } from '../graph/document.ts';
import { iti } from './iti.ts';
import type { FitData, Fitted, FitRow } from './method.ts';

const folder = new URL('../../test/goldens/stats/', import.meta.url);
const bytes = readFileSync(new URL('stats.safetensors', folder));
const entries = parseSafetensors(bytes, 'stats');
const tensor = (name: string): Float32Array => {
  const entry = entries.get(name);
  if (!entry) throw new Error(`no ${name}`);
  return tensorF32(bytes, entry);
};
const golden = (JSON.parse(readFileSync(new URL('stats.json', folder), 'utf8')) as { heads: GoldenHeads }).heads;
interface GoldenHeads {
  readonly layers: number;
  readonly heads: number;
  readonly head_dim: number;
  readonly n_train: number;
  readonly n_val: number;
  readonly ranked_by_val_accuracy_ties_by_index: readonly (readonly [number, number])[];
}

function goldenData(): FitData {
  const { layers, heads, head_dim: headDim, n_train: train, n_val: validation } = golden;
  const labels = tensor('heads.y');
  const rows = Array.from({ length: train + validation }, (_, i): FitRow => ({
    label: labels[i] === 1 ? 1 : 0,
    group: `${i}`,
    pair: -1,
    part: i < train ? 'train' : 'validation',
  }));
  const all = tensor('heads.X');
  const width = heads * headDim;
  const tables = Array.from({ length: layers }, (_, layer) => {
    const out = new Float32Array(rows.length * width);
    rows.forEach((_, row) => out.set(all.subarray((row * layers + layer) * width, (row * layers + layer + 1) * width), row * width));
    return out;
  });
  return { shape: { ...shape, layers, heads, kvHeads: heads, headDim }, rows, tables: { z: memoryTable('z', width, tables) } };
}

const edits = (fit: Fitted): EditNode[] => fit.graph.document.nodes.filter((node): node is EditNode => 'edit' in node);
const row = (fit: Fitted, index: number): number[] => {
  const { shape: size, data } = fit.graph.vectors['direction'];
  return [...data.subarray(index * size[1], (index + 1) * size[1])];
};
const heads = (fit: Fitted): string[] => fit.report.places.map(({ layer, head }) => `${layer}.${head}`);
/** Ties by index, as the golden files have them. */
const byIndex = {
  random: (
    (n) => () =>
      n++ / 1e6
  )(0),
};

describe('ITI against golden files', () => {
  it.each(['mass-mean', 'probe'] as const)('ranks heads, points and measures sigma alike with the %s direction', async (direction) => {
    const fit = await iti.fit(goldenData(), { direction, heads: 8, alpha: 15 }, byIndex);
    const order = golden.ranked_by_val_accuracy_ties_by_index;
    expect(heads(fit)).toEqual(order.map(([layer, head]) => `${layer}.${head}`));
    const accuracy = tensor('heads.val_accuracy');
    const [unit, sigma] =
      direction === 'probe'
        ? [tensor('heads.coef_unit'), tensor('heads.sigma_coef')]
        : [tensor('heads.mean_difference_unit'), tensor('heads.sigma_mean_difference')];
    order.forEach(([layer, head], i) => {
      const at = layer * golden.heads + head;
      expect(fit.report.places[i].accuracy).toBeCloseTo(accuracy[at], 6);
      row(fit, i).forEach((value, k) => expect(value).toBeCloseTo(unit[at * golden.head_dim + k], 5));
      expect(edits(fit)[i]).toMatchObject({ edit: 'add', at: { point: 'z', layer, head }, tokens: 'generated' });
      expect(edits(fit)[i].strength).toBeCloseTo(15 * sigma[at], 4);
    });
  });
});

describe('ITI', () => {
  const planted = (): FitData =>
    makeData(pairedRows(60), ['z'], (one, layer, column) =>
      layer === 2 && Math.floor(column / shape.headDim) === 1 && one.label === 1 ? 2.5 : 0,
    );

  it('finds the planted head and its direction', async () => {
    const fit = await iti.fit(planted(), {}, context());
    expect(heads(fit)[0]).toBe('2.1');
    expect(fit.report.places[0].accuracy).toBeGreaterThan(0.9);
    const along = row(fit, 0).reduce((sum, value) => sum + value / Math.sqrt(shape.headDim), 0);
    expect(along).toBeGreaterThan(0.95);
    // 48 of 1024 on 16 heads is 0.75: at least one, and four times as many are held.
    expect(fit.chosen).toBe(1);
    expect(fit.ranking).toHaveLength(4);
    expect(fit.ranking[0]).toEqual(['h2.1']);
    for (const node of edits(fit)) expect(node.strength).toBeGreaterThan(0);
  });

  it('turns its mass-mean direction round when the classes are exchanged', async () => {
    const [fit, back] = [await iti.fit(planted(), {}, context()), await iti.fit(swapped(planted()), {}, context())];
    expect(heads(back)[0]).toBe('2.1');
    row(fit, 0).forEach((value, i) => expect(row(back, 0)[i]).toBeCloseTo(-value, 6));
    expect(edits(back)[0].strength).toBeCloseTo(edits(fit)[0].strength ?? 0, 5);
  });

  it('does not mind the order of rows, and gives the same for the same seed', async () => {
    const data = planted();
    const fit = await iti.fit(data, {}, context(3));
    expect((await iti.fit(data, {}, context(3))).graph).toEqual(fit.graph);
    const moved = await iti.fit(await permuted(data, shuffledIndices(data.rows.length, 9)), {}, context(3));
    expect(heads(moved)).toEqual(heads(fit));
    row(fit, 0).forEach((value, i) => expect(row(moved, 0)[i]).toBeCloseTo(value, 5));
  });

  it('scales its dose with the activations and keeps its directions', async () => {
    const data = planted();
    const tripled = memoryTable(
      'z',
      24,
      await Promise.all([0, 1, 2, 3].map(async (layer) => (await data.tables.z!.layer(layer)).map((value) => 3 * value))),
    );
    const [fit, large] = [
      await iti.fit(data, { heads: 1, hold: 1 }, context()),
      await iti.fit({ ...data, tables: { z: tripled } }, { heads: 1, hold: 1 }, context()),
    ];
    row(fit, 0).forEach((value, i) => expect(row(large, 0)[i]).toBeCloseTo(value, 5));
    expect(edits(large)[0].strength).toBeCloseTo(3 * (edits(fit)[0].strength ?? 0), 3);
  });

  it('measures sigma on the texts given for it', async () => {
    const data = planted();
    const still = memoryTable(
      'z',
      24,
      Array.from({ length: shape.layers }, () => Float32Array.from({ length: 10 * 24 }, (_, i) => (Math.floor(i / 24) % 2) * 2)),
    );
    const fit = await iti.fit({ ...data, spread: { z: still } }, { alpha: 1 }, context());
    // Rows are 0 and 2 in every column: along a unit direction u their spread is |sum of u|.
    const sum = row(fit, 0).reduce((a, b) => a + b, 0);
    expect(edits(fit)[0].strength).toBeCloseTo(Math.abs(sum), 4);
    expect(fit.report.numbers['spreadRows']).toBe(10);
  });

  it('keeps random heads and random directions apart', async () => {
    const data = planted();
    const randomHeads = await iti.fit(data, { randomHeads: true }, context(4));
    expect(heads(randomHeads)).not.toEqual(heads(await iti.fit(data, {}, context(4))));
    const random = await iti.fit(data, { direction: 'random' }, context(4));
    expect(heads(random)[0]).toBe('2.1');
    expect(Math.hypot(...row(random, 0))).toBeCloseTo(1, 6);
  });

  it('never looks at test rows', async () => {
    const rows = [...pairedRows(40), ...pairedRows(10, () => 'test')];
    const data = makeData(rows, ['z'], (one) => (one.part === 'test' ? 0 : one.label));
    const other = makeData(rows, ['z'], (one) => (one.part === 'test' ? 1e6 : one.label));
    expect((await iti.fit(other, {}, context())).graph).toEqual((await iti.fit(data, {}, context())).graph);
  });

  it('says what is missing', async () => {
    const data = planted();
    const one = (change: (given: FitRow) => Partial<FitRow>): FitData => ({
      ...data,
      rows: data.rows.map((given) => ({ ...given, ...change(given) })),
    });
    const problem = (given: FitData): Promise<unknown> =>
      iti.fit(given, {}, context()).then(
        () => 'fitted',
        (error: unknown) => (error as { message: string }).message,
      );
    expect(await problem(one(() => ({ label: 1 })))).toContain('of the wanted class; both are needed');
    expect(await problem(one(() => ({ part: 'train' })))).toContain('no validation rows');
    expect(await problem(one(() => ({ part: 'test' })))).toContain('no training rows');
    expect(
      await problem({ ...data, tables: { z: memoryTable('z', 24, new Array<Float32Array>(4).fill(new Float32Array(120 * 24))) } }),
    ).toContain('no head differs');
    await expect(iti.fit(data, {}, context(1, { signal: AbortSignal.abort() }))).rejects.toMatchObject({ code: 'request/aborted' });
  });
});
