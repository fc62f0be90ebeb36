import { hold, layer, multiplier, tokens } from './common-settings.ts';
import { capturesOf, fitAdditions, pairDifference } from './direction-fit.ts';
import type { Method } from './method.ts';
import { readRows } from './settings.ts';

/**
 * Contrastive activation addition: the mean difference of pairs at the output of a layer, added after the instruction. As published
 * the vector keeps its length and the multiplier says how many of it; the layer is the one where validation rows are told apart best.
 */

const name = 'caa';
const rows = {
  layer,
  count: { kind: 'integer', default: 1, least: 1, most: 4096, doc: 'layers steered together, the best first' },
  hold,
  multiplier: { ...multiplier, doc: 'how many times the mean difference is added; published values are -2 to 2' },
  tokens: { ...tokens, doc: `${tokens.doc}; as published from the end of the instruction on` },
} as const satisfies Method['settings'];

export const caa: Method = {
  name,
  title: 'CAA: contrastive activation addition',
  what: 'Adds the mean difference of contrasting pairs to the residual stream after one layer.',
  source: 'Rimsky et al. 2023, Steering Llama 2 via Contrastive Activation Addition',
  needs: 'pairs',
  settings: rows,
  captures: (given, shape) => {
    const settings = readRows(name, rows, given);
    return capturesOf(name, 'resid_post', settings.layer, shape);
  },
  fit: async (data, given, context) => {
    const settings = readRows(name, rows, given);
    return fitAdditions(data, context, {
      ...settings,
      method: name,
      graphName: 'contrastive activation addition',
      settings,
      needs: 'pairs',
      point: 'resid_post',
      dose: 'gap',
      estimate: (slice, { pairs }) => ({ direction: pairDifference(slice, pairs) }),
    });
  },
};
