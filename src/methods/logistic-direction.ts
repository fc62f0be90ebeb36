import { count, dose, hold, layer, multiplier, point, tokens } from './common-settings.ts';
import type { Slice } from './direction.ts';
import { capturesOf, fitAdditions, type TrainingRows } from './direction-fit.ts';
import type { Method } from './method.ts';
import { readRows } from './settings.ts';
import { wideLogistic } from './wide-logistic.ts';

/** The coefficients of a logistic probe as a direction: what tells the classes apart best, given how their activations scatter. */

const name = 'logistic';
const rows = {
  point,
  layer,
  count,
  hold,
  regularization: {
    kind: 'number',
    default: 1,
    least: 1e-6,
    most: 1e6,
    doc: "C, the inverse strength of the penalty; 1 is scikit-learn's default",
  },
  dose,
  multiplier,
  tokens,
} as const satisfies Method['settings'];

/** Coefficients of the probe on the training rows of a place. */
function coefficients(slice: Slice, { positive, negative }: TrainingRows, C: number, signal: AbortSignal | undefined): Float64Array {
  const labels = new Uint8Array(slice.data.length / slice.stride);
  for (const row of positive) labels[row] = 1;
  const rows = [...positive, ...negative].sort((a, b) => a - b);
  return wideLogistic({ slice, rows, labels, C, signal }).weights;
}

export const logistic: Method = {
  name,
  title: 'Logistic direction',
  what: 'Adds the direction of a logistic probe, at layers or heads of any point.',
  source: 'Alain and Bengio 2016, Understanding intermediate layers using linear classifier probes',
  needs: 'labels',
  settings: rows,
  captures: (given, shape) => {
    const settings = readRows(name, rows, given);
    return capturesOf(name, settings.point, settings.layer, shape);
  },
  fit: async (data, given, context) => {
    const settings = readRows(name, rows, given);
    return fitAdditions(data, context, {
      ...settings,
      method: name,
      graphName: `logistic direction at ${settings.point}`,
      settings,
      needs: 'labels',
      estimate: (slice, train) => ({ direction: coefficients(slice, train, settings.regularization, context.signal) }),
    });
  },
};
