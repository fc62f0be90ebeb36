import { fitProbes } from '../stats/probes.ts';
import type { FitContext, FitRow } from './method.ts';
import type { Place } from './places.ts';
import type { Classes } from './rows.ts';

/** A logistic probe of one head: fitted on training rows, counted on validation rows. */
export interface HeadProbe {
  readonly weights: Float64Array;
  readonly intercept: number;
  /** Validation rows on the right side; a row exactly on the boundary counts as the unwanted class. */
  readonly validationRight: number;
  readonly converged: boolean;
}

/**
 * Probes of all heads of a layer, in the order of its places.
 * @param activations rows x heads * headDim
 * @param c inverse strength of the penalty
 * @throws request/aborted
 */
export async function probeHeads(
  activations: Float32Array,
  places: readonly Place[],
  rows: { readonly train: Classes; readonly validation: Classes; readonly rows: readonly FitRow[] },
  c: number,
  { signal }: Pick<FitContext, 'signal'>,
): Promise<HeadProbe[]> {
  const count = rows.rows.length;
  const { width: headDim } = places[0];
  const { weights, intercepts, validationRight, converged } = await fitProbes({
    features: activations,
    heads: places.length,
    headDim,
    labels: Uint8Array.from(rows.rows, ({ label }) => label),
    train: [mask(rows.train, count)],
    validation: [mask(rows.validation, count)],
    C: c,
    signal,
  });
  return places.map((_, head) => ({
    weights: weights.slice(head * headDim, (head + 1) * headDim),
    intercept: intercepts[head],
    validationRight: validationRight[head],
    converged: converged[head] === 1,
  }));
}

function mask({ positive, negative }: Classes, count: number): Uint8Array {
  const out = new Uint8Array(count);
  for (const row of positive) out[row] = 1;
  for (const row of negative) out[row] = 1;
  return out;
}
