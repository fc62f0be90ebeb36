import { multiplier, tokens } from './common-settings.ts';
import { length, mean, type Slice } from './direction.ts';
import { pairDifference } from './direction-fit.ts';
import { additions, fitted } from './fitted.ts';
import type { Method } from './method.ts';
import { pairsOf, readLayer, tableOf } from './rows.ts';
import { readRows, selectorOf, settingsError } from './settings.ts';

/**
 * Activation addition: the difference of one pair of short texts at the input of an early layer, as it is, many times over. Nothing is
 * judged, so one pair is enough. Published, the activations of every token of the pair are added at the front of the prompt; here the token
 * that is read (the last one, unless said otherwise) gives one vector, which for a pair of one-token texts is the same.
 */

const name = 'actadd';
const point = 'resid_pre';
/** Layer 6 of GPT-2-XL's 48, in the published examples. */
const depth = 6 / 48;

const rows = {
  layer: {
    kind: 'integer',
    default: -1,
    least: -1,
    most: 4095,
    doc: 'the layer whose input is changed, counted from 0; -1 is an eighth of the depth, as published',
  },
  multiplier: { ...multiplier, default: 5, doc: 'how many times the difference is added; published values are 3 to 15' },
  tokens: {
    ...tokens,
    default: '{"at":[1]}',
    doc: `${tokens.doc}; as published the front of the prompt, here the token after the beginning-of-sequence token`,
  },
} as const satisfies Method['settings'];

const layerOf = (given: number, layers: number): number => {
  if (given >= layers) throw settingsError(name, 'layer', `is ${given}, the model has ${layers} layers, counted from 0`);
  return given < 0 ? Math.min(layers - 1, Math.round(depth * layers)) : given;
};

export const actadd: Method = {
  name,
  title: 'ActAdd: activation addition',
  what: 'Adds the difference of one or a few pairs of short texts at one layer, several times.',
  source: 'Turner et al. 2023, Steering Language Models With Activation Engineering',
  needs: 'pairs',
  settings: rows,
  captures: (given, shape) => [{ point, layers: [layerOf(readRows(name, rows, given).layer, shape.layers)] }],
  fit: async (data, given, context) => {
    const settings = readRows(name, rows, given);
    const { shape } = data;
    const layer = layerOf(settings.layer, shape.layers);
    const { pairs, unpaired } = pairsOf(name, data, ['train']);
    const table = tableOf(name, data, point);
    const activations = await readLayer(name, table, layer, context);
    const slice: Slice = { data: activations, stride: table.width, start: 0, width: table.width };
    const vector = pairDifference(slice, pairs);
    const usual = length(
      mean(
        slice,
        pairs.flatMap(({ positive, negative }) => [positive, negative]),
      ),
    );
    const { nodes, vectors } = additions(
      [{ place: { point, layer, head: null, start: 0, width: table.width }, vector, strength: settings.multiplier }],
      selectorOf(settings.tokens),
    );
    context.onProgress?.(1, 1);
    return fitted({
      name: 'activation addition',
      shape,
      nodes,
      vectors,
      ranking: [nodes.map(({ id }) => id)],
      chosen: 1,
      report: {
        method: name,
        settings,
        places: [{ layer, score: usual > 0 ? length(vector) / usual : 0 }],
        scoreName: 'length of the difference over the length of the mean activation',
        notes: unpaired > 0 ? [`${unpaired} training rows without a counterpart were left out.`] : [],
        numbers: { layer, pairs: pairs.length, length: length(vector), usualLength: usual },
      },
    });
  },
};
