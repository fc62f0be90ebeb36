import type { CaptureTable } from '../../src/captures/table.ts';
import type { Part } from '../../src/examples/reading.ts';
import { pointWidth, type ModelShape, type PointName } from '../../src/graph/points.ts';
import type { FitContext, FitData, FitRow } from '../../src/methods/method.ts';
import { pcg, uniform } from '../../src/engine/random.ts';

/** Activations made up for tests: noise, with a difference between the classes where a test plants one. */

export const shape: ModelShape = { family: 'llama', layers: 4, heads: 4, kvHeads: 2, headDim: 6, hidden: 16, intermediate: 20 };

/** Uniform numbers in [0, 1) from a seed. */
export function stream(seed: number): () => number {
  let state = pcg(seed >>> 0);
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    return uniform(pcg(state));
  };
}

/** About normal, variance 1. */
export const noise = (random: () => number): number => Array.from({ length: 12 }, random).reduce((sum, value) => sum + value, -6);

export const context = (seed = 1, more: Partial<FitContext> = {}): FitContext => ({ random: stream(seed), ...more });

/** A table whose layers lie in memory. */
export function memoryTable(point: PointName, width: number, layers: readonly Float32Array[]): CaptureTable {
  return {
    point,
    layers: layers.map((_, layer) => layer),
    width,
    rows: layers[0].length / width,
    key: 'test',
    layer: async (layer, columns = [0, width]) => {
      const data = layers[layer];
      const rows = data.length / width;
      const [start, end] = columns;
      const out = new Float32Array(rows * (end - start));
      for (let row = 0; row < rows; row++) out.set(data.subarray(row * width + start, row * width + end), row * (end - start));
      return out;
    },
  };
}

/** `pairs` pairs, wanted row before unwanted one; the last fifth of them is validation. */
export function pairedRows(
  pairs: number,
  part: (pair: number) => Part = (pair) => (pair < pairs * 0.8 ? 'train' : 'validation'),
): FitRow[] {
  return Array.from({ length: 2 * pairs }, (_, row): FitRow => {
    const pair = row >> 1;
    return { label: row % 2 === 0 ? 1 : 0, group: `q${pair}`, pair, part: part(pair) };
  });
}

/** Added to the noise of a row, by layer and column. */
export type Plant = (row: FitRow, layer: number, column: number) => number;

export function makeData(
  rows: readonly FitRow[],
  points: readonly PointName[],
  plant: Plant = () => 0,
  seed = 7,
  model: ModelShape = shape,
): FitData {
  const random = stream(seed);
  const tables: Partial<Record<PointName, CaptureTable>> = {};
  for (const point of points) {
    const width = pointWidth(point, model, 0);
    const layers = Array.from({ length: model.layers }, (_, layer) => {
      const data = new Float32Array(rows.length * width);
      for (let i = 0; i < data.length; i++) data[i] = noise(random) + plant(rows[Math.floor(i / width)], layer, i % width);
      return data;
    });
    tables[point] = memoryTable(point, width, layers);
  }
  return { shape: model, rows, tables };
}

/** The same data with its rows in another order. */
export async function permuted(data: FitData, order: readonly number[]): Promise<FitData> {
  const tables: Partial<Record<PointName, CaptureTable>> = {};
  for (const table of Object.values(data.tables)) {
    const layers: Float32Array[] = [];
    for (const layer of table.layers) {
      const values = await table.layer(layer);
      const moved = new Float32Array(values.length);
      order.forEach((from, to) => moved.set(values.subarray(from * table.width, (from + 1) * table.width), to * table.width));
      layers.push(moved);
    }
    tables[table.point] = memoryTable(table.point, table.width, layers);
  }
  return { ...data, rows: order.map((from) => data.rows[from]), tables };
}

/** The same data with the classes' names exchanged. */
export const swapped = (data: FitData): FitData => ({
  ...data,
  rows: data.rows.map((row): FitRow => ({ ...row, label: row.label === 1 ? 0 : 1 })),
});

export function shuffledIndices(n: number, seed: number): number[] {
  const random = stream(seed);
  return Array.from({ length: n }, (_, index) => ({ index, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ index }) => index);
}
