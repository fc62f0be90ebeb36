import { TillerError } from '../errors/error.ts';
import type { FitContext, FitRow } from './method.ts';
import type { Place } from './places.ts';
import type { Classes } from './rows.ts';
import { logistic } from './stand-in/stand-in.ts';

/** A logistic probe of one head: fitted on training rows, counted on validation rows. */
export interface HeadProbe {
  readonly weights: Float64Array;
  readonly intercept: number;
  readonly validationRight: number;
  readonly converged: boolean;
}

/** Probes of all heads of a layer. */
export async function probeHeads(
  activations: Float32Array,
  places: readonly Place[],
  rows: { readonly train: Classes; readonly validation: Classes; readonly rows: readonly FitRow[] },
  c: number,
  context: FitContext,
): Promise<HeadProbe[]> {
  if (context.signal?.aborted) throw new TillerError('request/aborted');
  const stride = places.reduce((sum, place) => sum + place.width, 0);
  return places.map(({ start, width }) => {
    const cut = (row: number): Float32Array => activations.subarray(row * stride + start, row * stride + start + width);
    const train = [...rows.train.positive, ...rows.train.negative];
    const { weights, intercept, converged } = logistic(
      train.map(cut),
      train.map((row) => rows.rows[row].label),
      c,
    );
    const right = [...rows.validation.positive, ...rows.validation.negative].filter((row) => {
      const value = cut(row).reduce((sum, x, i) => sum + x * weights[i], intercept);
      return (value > 0 ? 1 : 0) === rows.rows[row].label;
    });
    return { weights, intercept, validationRight: right.length, converged };
  });
}
