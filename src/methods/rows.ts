import type { CaptureTable } from '../captures/table.ts';
import { TillerError } from '../errors/error.ts';
import type { Part } from '../examples/reading.ts';
import type { PointName } from '../graph/points.ts';
import type { FitContext, FitData, FitRow } from './method.ts';

/** Which rows of the data a method works on. Rows of part `test` never get past this file. */

/** Row numbers, ascending, by class. */
export interface Classes {
  readonly negative: readonly number[];
  readonly positive: readonly number[];
}

/** A row of label 1 and its counterpart of label 0. */
export interface Pair {
  readonly positive: number;
  readonly negative: number;
}

export const dataError = (method: string, problem: string): TillerError => new TillerError('method/data', { method, problem });

const partNames: Readonly<Record<Exclude<Part, 'test'>, string>> = { train: 'training', validation: 'validation' };

function select(rows: readonly FitRow[], parts: readonly Part[]): Classes {
  const negative: number[] = [];
  const positive: number[] = [];
  rows.forEach((row, index) => {
    if (parts.includes(row.part)) (row.label === 1 ? positive : negative).push(index);
  });
  return { negative, positive };
}

/**
 * Training and validation rows by class; `all` is the two together. Validation may be empty or hold one class.
 * @throws method/data where training rows lack a class
 */
export function developmentClasses(
  method: string,
  data: FitData,
): { readonly train: Classes; readonly validation: Classes; readonly all: Classes } {
  const train = select(data.rows, ['train']);
  const count = train.negative.length + train.positive.length;
  if (count === 0) throw dataError(method, `there are no ${partNames.train} rows`);
  for (const label of ['negative', 'positive'] as const) {
    if (train[label].length > 0) continue;
    const problem = `all ${count} ${partNames.train} rows are of the ${label === 'negative' ? 'wanted' : 'unwanted'} class`;
    throw dataError(method, `${problem}; both are needed`);
  }
  return { train, validation: select(data.rows, ['validation']), all: select(data.rows, ['train', 'validation']) };
}

/**
 * Pairs of the given parts, in order of their number. Rows without a counterpart in these parts are left out and counted.
 * @throws method/data where there is no pair, or several rows of one label bear the same number
 */
export function pairsOf(
  method: string,
  data: FitData,
  parts: readonly Exclude<Part, 'test'>[],
): { readonly pairs: readonly Pair[]; readonly unpaired: number } {
  const found = new Map<number, { positive?: number; negative?: number }>();
  let unpaired = 0;
  data.rows.forEach((row, index) => {
    if (row.part === 'test' || !parts.includes(row.part)) return;
    if (row.pair < 0) {
      unpaired++;
      return;
    }
    const side = row.label === 1 ? 'positive' : 'negative';
    const pair = found.get(row.pair) ?? {};
    if (pair[side] !== undefined)
      throw dataError(
        method,
        `rows ${pair[side]} and ${index} are both the ${side === 'positive' ? 'wanted' : 'unwanted'} side of pair ${row.pair}`,
      );
    pair[side] = index;
    found.set(row.pair, pair);
  });
  const pairs: Pair[] = [];
  for (const [, { positive, negative }] of [...found].sort(([a], [b]) => a - b)) {
    if (positive === undefined || negative === undefined) unpaired++;
    else pairs.push({ positive, negative });
  }
  if (pairs.length === 0)
    throw dataError(
      method,
      `there is no pair of a wanted and an unwanted text among the ${parts.map((part) => partNames[part]).join(' and ')} rows`,
    );
  return { pairs, unpaired };
}

/**
 * The table of a point that the method asked for.
 * @throws method/data where it is not there or does not fit the rows
 */
export function tableOf(method: string, data: Pick<FitData, 'tables' | 'rows'>, point: PointName): CaptureTable {
  const table = data.tables[point];
  if (!table) throw dataError(method, `activations of "${point}" were not captured`);
  if (table.rows !== data.rows.length) throw dataError(method, `there are ${table.rows} rows of "${point}" for ${data.rows.length} labels`);
  return table;
}

/**
 * Activations of one layer, rows x width, checked to be finite.
 * @throws method/data naming the first row that is not, request/aborted
 */
export async function readLayer(
  method: string,
  table: CaptureTable,
  layer: number,
  context: Pick<FitContext, 'signal'>,
): Promise<Float32Array> {
  if (context.signal?.aborted) throw new TillerError('request/aborted');
  const data = await table.layer(layer, undefined, context.signal);
  if (data.length !== table.rows * table.width)
    throw dataError(method, `layer ${layer} of "${table.point}" has ${data.length} numbers for ${table.rows} rows of ${table.width}`);
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw dataError(
      method,
      `row ${Math.floor(bad / table.width)} holds ${data[bad]} at "${table.point}" of layer ${layer}: the model's activations overflowed`,
    );
  return data;
}
