import { TillerError } from '../errors/error.ts';
import { logisticRegression } from '../stats/logistic.ts';
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
 * Probes of all heads of a layer.
 * @param activations rows x heads * headDim
 * @param c inverse strength of the penalty
 */
export async function probeHeads(
  activations: Float32Array,
  places: readonly Place[],
  rows: { readonly train: Classes; readonly validation: Classes; readonly rows: readonly FitRow[] },
  c: number,
  context: Pick<FitContext, 'signal'>,
): Promise<HeadProbe[]> {
  const stride = activations.length / rows.rows.length;
  const labels = Uint8Array.from(rows.rows, ({ label }) => label);
  const train = ascending(rows.train);
  const validation = ascending(rows.validation);
  return places.map(({ start, width }) => {
    if (context.signal?.aborted) throw new TillerError('request/aborted');
    const { weights, intercept, converged } = logisticRegression({
      features: activations,
      width,
      stride,
      start,
      labels,
      rows: train,
      C: c,
    });
    const right = validation.filter((row) => {
      let value = intercept;
      for (let i = 0; i < width; i++) value += activations[row * stride + start + i] * weights[i];
      return (value > 0 ? 1 : 0) === labels[row];
    });
    return { weights, intercept, validationRight: right.length, converged };
  });
}

const ascending = ({ positive, negative }: Classes): number[] => [...positive, ...negative].sort((a, b) => a - b);
