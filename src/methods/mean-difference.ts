import { count, dose, hold, layer, multiplier, point, tokens } from './common-settings.ts';
import { meanDifference as difference } from './direction.ts';
import { capturesOf, fitAdditions } from './direction-fit.ts';
import type { Method } from './method.ts';
import { readRows } from './settings.ts';

/** Mean of the wanted rows minus mean of the unwanted ones, at any point: the plainest direction there is, and often the best. */

const name = 'mean-difference';
const rows = { point, layer, count, hold, dose, multiplier, tokens } as const satisfies Method['settings'];

export const meanDifference: Method = {
  name,
  title: 'Mean difference',
  what: 'Adds the difference of the class means, at layers or heads of any point.',
  source: 'Marks and Tegmark 2023, The Geometry of Truth (mass-mean direction)',
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
      graphName: `mean difference at ${settings.point}`,
      settings,
      needs: 'labels',
      estimate: (slice, { positive, negative }) => ({ direction: difference(slice, positive, negative) }),
    });
  },
};
