import { describe, expect, it } from 'vitest';
import { context, makeData, memoryTable, pairedRows, shape, swapped } from '../../test/methods/planted.ts';
import type { EditNode } from '../graph/document.ts';
import { actadd } from './actadd.ts';
import { cap, clamp } from './bounds.ts';
import { caa } from './caa.ts';
import { separation } from './direction-fit.ts';
import { logistic } from './logistic-direction.ts';
import { meanDifference } from './mean-difference.ts';
import type { FitData, Fitted } from './method.ts';
import { pca } from './pca.ts';

const edits = (fit: Fitted): EditNode[] => fit.graph.document.nodes.filter((node): node is EditNode => 'edit' in node);
const row = (fit: Fitted, index: number): number[] => {
  const { shape: size, data } = fit.graph.vectors['direction'];
  return [...data.subarray(index * size[1], (index + 1) * size[1])];
};
const unit = (vector: readonly number[]): number[] => vector.map((value) => value / Math.hypot(...vector));
const cosine = (a: readonly number[], b: readonly number[]): number => unit(a).reduce((sum, value, i) => sum + value * unit(b)[i], 0);
const close = (a: readonly number[], b: readonly number[], digits = 5): void => {
  expect(a).toHaveLength(b.length);
  a.forEach((value, i) => expect(value).toBeCloseTo(b[i], digits));
};

/** The classes differ along `axis` by `gap`, most in layer 2. */
const axis = Array.from({ length: shape.hidden }, (_, i) => Math.sin(i + 1));
const planted = (pairs = 60): FitData =>
  makeData(
    pairedRows(pairs),
    ['resid_post', 'resid_pre'],
    (one, layer, column) => (one.label - 0.5) * axis[column] * (layer === 2 ? 2 : 0.2),
  );

/** Mean difference of the training rows, in the plainest way. */
async function difference(data: FitData, point: 'resid_post' | 'resid_pre', layer: number): Promise<number[]> {
  const values = (await data.tables[point]?.layer(layer)) ?? new Float32Array();
  const mean = (label: 0 | 1): number[] => {
    const rows = data.rows.flatMap((one, index) => (one.part === 'train' && one.label === label ? [index] : []));
    return Array.from(
      { length: shape.hidden },
      (_, i) => rows.reduce((sum, index) => sum + values[index * shape.hidden + i], 0) / rows.length,
    );
  };
  const [a, b] = [mean(1), mean(0)];
  return a.map((value, i) => value - b[i]);
}

describe('directions of the residual stream', () => {
  it.each([
    ['caa', caa],
    ['mean-difference', meanDifference],
    ['logistic', logistic],
    ['pca', pca],
  ] as const)('%s finds the planted layer and direction, and turns round with the classes', async (name, method) => {
    const settings: Record<string, number> = name === 'logistic' ? { regularization: 0.001 } : {};
    const fit = await method.fit(planted(), settings, context());
    expect(fit.ranking[0]).toEqual(['resid_post.2']);
    expect(fit.chosen).toBe(1);
    expect(fit.ranking).toHaveLength(shape.layers);
    expect(fit.report.places[0].accuracy).toBeGreaterThan(0.9);
    expect(fit.report.places[0].count).toBe(24);
    expect(cosine(row(fit, 0), axis)).toBeGreaterThan(0.9);
    const back = await method.fit(swapped(planted()), settings, context());
    close(
      row(back, 0),
      row(fit, 0).map((value) => -value),
      4,
    );
  });

  it('CAA adds the mean difference of pairs as it is', async () => {
    const data = planted();
    const fit = await caa.fit(data, { layer: 2, multiplier: -1.5 }, context());
    close(row(fit, 0), await difference(data, 'resid_post', 2));
    expect(edits(fit)).toMatchObject([{ at: { point: 'resid_post', layer: 2 }, strength: -1.5, tokens: 'generated' }]);
    expect(caa.captures({ layer: 2 }, shape)).toEqual([{ point: 'resid_post', layers: [2] }]);
    expect(caa.captures({}, shape)).toEqual([{ point: 'resid_post' }]);
    expect(() => caa.captures({ layer: 4 }, shape)).toThrow(/is 4, the model has 4 layers/);
  });

  it('CAA leaves half a pair out of the difference', async () => {
    const data = planted(20);
    const lonely = { ...data, rows: data.rows.map((one, index) => (index === 0 ? { ...one, pair: 999 } : one)) };
    const fit = await caa.fit(lonely, { layer: 2 }, context());
    expect(fit.report.numbers['pairs']).toBe(15);
    expect(fit.report.notes.join(' ')).toContain('2 training rows without a counterpart');
    const without = { ...data, rows: data.rows.map((one, index) => (index < 2 ? { ...one, part: 'test' as const } : one)) };
    close(row(fit, 0), await difference(without, 'resid_post', 2));
  });

  it('takes the dose as the gap of the classes, their spread, or 1', async () => {
    const data = planted();
    const sizes = await Promise.all(
      (['gap', 'sigma', 'unit'] as const).map(async (dose) =>
        Math.hypot(...row(await meanDifference.fit(data, { layer: 2, dose }, context()), 0)),
      ),
    );
    expect(sizes[0]).toBeCloseTo(Math.hypot(...(await difference(data, 'resid_post', 2))), 5);
    expect(sizes[1]).toBeGreaterThan(0.5);
    expect(sizes[2]).toBeCloseTo(1, 6);
  });

  it('scales with the activations', async () => {
    const data = planted();
    const table = data.tables.resid_post;
    if (!table) throw new Error('no table');
    const layers = await Promise.all(table.layers.map(async (layer) => (await table.layer(layer)).map((value) => 5 * value)));
    const [fit, large] = [
      await caa.fit(data, {}, context()),
      await caa.fit({ ...data, tables: { resid_post: memoryTable('resid_post', shape.hidden, layers) } }, {}, context()),
    ];
    expect(large.ranking).toEqual(fit.ranking);
    close(
      row(large, 0),
      row(fit, 0).map((value) => 5 * value),
      4,
    );
    close(
      large.report.places.map(({ score }) => score),
      fit.report.places.map(({ score }) => score),
      4,
    );
  });

  it('judges heads one by one where the point has them', async () => {
    const data = makeData(pairedRows(60), ['v'], (one, layer, column) => (layer === 1 && column >= 6 ? 2 * one.label : 0));
    const fit = await meanDifference.fit(data, { point: 'v' }, context());
    expect(fit.ranking[0]).toEqual(['v.1.1']);
    expect(edits(fit)[0].at).toEqual({ point: 'v', layer: 1, head: 1 });
    expect(fit.report.places).toHaveLength(shape.layers * shape.kvHeads);
  });

  it('says so where places could only be judged on the rows they were made from', async () => {
    const data = planted(10);
    const fit = await caa.fit({ ...data, rows: data.rows.map((one) => ({ ...one, part: 'train' as const })) }, {}, context());
    expect(fit.report.notes[0]).toContain('flatters');
    expect(fit.report.places[0].accuracy).toBeUndefined();
    expect(fit.report.scoreName).toContain('training rows');
  });

  it('separates by means over spread, and says 1e6 where there is none', () => {
    expect(separation([3, 5], [0, 2])).toBeCloseTo(3, 12);
    expect(separation([1, 1], [0, 0])).toBe(1e6);
    expect(separation([0], [1])).toBe(-1e6);
    expect(separation([1, 2], [1, 2])).toBe(0);
  });
});

describe('components of pairs', () => {
  // Every pair differs along the axis, and pairs differ among themselves along another.
  const other = axis.map((_, i) => (i % 2 === 0 ? 1 : -1));
  const data = makeData(pairedRows(40), ['resid_post'], (one, _, column) => {
    const wave = one.pair % 2 === 0 ? 1 : -1;
    return one.label * (2 * axis[column] + 4 * wave * other[column]);
  });

  it('of differences less their mean shows how pairs vary, as repeng does; without it what they share', async () => {
    const first = async (settings: Record<string, string | boolean>): Promise<number[]> =>
      row(await pca.fit(data, { layer: 1, ...settings }, context()), 0);
    expect(Math.abs(cosine(await first({ subtractMean: true }), other))).toBeGreaterThan(0.9);
    const shared = makeData(pairedRows(40), ['resid_post'], (one, _, column) => one.label * 4 * axis[column]);
    const fit = await pca.fit(shared, { layer: 1, dose: 'unit' }, context());
    expect(cosine(row(fit, 0), axis)).toBeGreaterThan(0.95);
    expect(Math.hypot(...row(fit, 0))).toBeCloseTo(1, 6);
    expect((fit.report.numbers['explained'] as number[])[0]).toBeGreaterThan(0.5);
  });

  it('of centred pairs does not depend on the mean being subtracted', async () => {
    const [a, b] = [await pca.fit(data, { of: 'center' }, context()), await pca.fit(data, { of: 'center', subtractMean: true }, context())];
    expect(a.ranking).toEqual(b.ranking);
    close(row(a, 0), row(b, 0), 5);
  });
});

describe('activation addition', () => {
  it('takes one pair, at an eighth of the depth, as it is', async () => {
    const data = makeData(
      pairedRows(1, () => 'train'),
      ['resid_pre'],
    );
    const fit = await actadd.fit(data, {}, context());
    const values = (await data.tables.resid_pre?.layer(1)) ?? new Float32Array();
    close(
      row(fit, 0),
      Array.from({ length: shape.hidden }, (_, i) => values[i] - values[shape.hidden + i]),
    );
    expect(edits(fit)).toMatchObject([{ id: 'resid_pre.1', at: { point: 'resid_pre', layer: 1 }, strength: 5, tokens: { at: [1] } }]);
    expect(actadd.captures({}, { ...shape, layers: 48 })).toEqual([{ point: 'resid_pre', layers: [6] }]);
  });
});

describe('cap and clamp', () => {
  const quantileOf = async (fit: Fitted, data: FitData): Promise<number[]> => {
    const values = (await data.tables.resid_post?.layer(2)) ?? new Float32Array();
    const direction = row(fit, 0);
    return data.rows
      .flatMap((one, index) => (one.part === 'train' && one.label === 1 ? [index] : []))
      .map((index) => direction.reduce((sum, value, i) => sum + value * values[index * shape.hidden + i], 0))
      .sort((a, b) => a - b);
  };

  it('caps at the quantile of wanted rows along the way to the unwanted class', async () => {
    const data = planted();
    const fit = await cap.fit(data, { layer: 2, quantile: 0.75 }, context());
    expect(cosine(row(fit, 0), axis)).toBeLessThan(-0.9);
    const sorted = await quantileOf(fit, data);
    const below = sorted.filter((value) => value <= (edits(fit)[0].strength ?? 0) + 1e-6).length / sorted.length;
    expect(below).toBeGreaterThanOrEqual(0.75);
    expect(below).toBeLessThan(0.8);
    expect(edits(fit)[0]).toMatchObject({ edit: 'cap', tokens: 'generated' });
  });

  it('clamps to the median of wanted rows', async () => {
    const data = planted();
    const fit = await clamp.fit(data, { layer: 2 }, context());
    const sorted = await quantileOf(fit, data);
    expect(edits(fit)[0].strength).toBeCloseTo((sorted[23] + sorted[24]) / 2, 5);
    expect(cosine(row(fit, 0), axis)).toBeGreaterThan(0.9);
  });
});
