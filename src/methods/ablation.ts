import type { EditNode } from '../graph/document.ts';
import type { PointName } from '../graph/points.ts';
import { tokens } from './common-settings.ts';
import { meanDifference } from './direction.ts';
import { findDirections } from './direction-fit.ts';
import { fitted, stack } from './fitted.ts';
import type { Method } from './method.ts';
import { allLayers } from './places.ts';
import { publishedRules } from './ablation-selection.ts';
import { readRows, selectorOf, settingsError } from './settings.ts';

/**
 * Directional ablation: one direction, the mean difference at the input of one layer, is projected out of everything that is written
 * to the residual stream in any layer. Which layer's direction to take is decided by what ablating it does (ablation-selection.ts), which needs an
 * engine; here candidates are ranked by how well they tell validation rows apart, and each is one entry of `ranking`, so
 * that a run tries them as lanes of one graph.
 */

const name = 'ablation';
const point = 'resid_pre';
/** Where the direction is removed, in every layer. */
const written: readonly PointName[] = ['resid_pre', 'attn_out', 'mlp_out'];

const rows = {
  layer: {
    kind: 'integer',
    default: -1,
    least: -1,
    most: 4095,
    doc: 'the layer whose input gives the direction, counted from 0; -1 judges all below `depth`',
  },
  depth: {
    kind: 'number',
    default: publishedRules.depth,
    least: 0.01,
    most: 1,
    doc: 'share of the depth from which on layers are no candidates',
  },
  candidates: {
    kind: 'integer',
    default: 8,
    least: 1,
    most: 256,
    doc: 'candidates the graph holds, the best first; each takes three edits a layer',
  },
  amount: { kind: 'number', default: 1, least: -100, most: 100, doc: 'share of the projection that is removed; negative amounts add it' },
  tokens: { ...tokens, default: 'all', doc: `${tokens.doc}; as published all` },
} as const satisfies Method['settings'];

/** Layers below `depth` of the model, at least the first. */
export const candidateLayers = (layers: number, depth: number): number[] =>
  Array.from({ length: layers }, (_, layer) => layer).filter((layer) => layer === 0 || layer < depth * layers);

export const ablation: Method = {
  name,
  title: 'Directional ablation',
  what: 'Removes one direction from everything the model writes to its residual stream, so that what the direction stands for cannot be said.',
  source: 'Arditi et al. 2024, Refusal in Language Models Is Mediated by a Single Direction',
  needs: 'labels',
  settings: rows,
  captures: (given, shape) => {
    const { layer, depth } = readRows(name, rows, given);
    return [{ point, layers: layer < 0 ? candidateLayers(shape.layers, depth) : [layer] }];
  },
  fit: async (data, given, context) => {
    const settings = readRows(name, rows, given);
    const { shape } = data;
    if (settings.layer >= shape.layers)
      throw settingsError(name, 'layer', `is ${settings.layer}, the model has ${shape.layers} layers, counted from 0`);
    const layers = settings.layer < 0 ? candidateLayers(shape.layers, settings.depth) : [settings.layer];
    const found = await findDirections(data, context, {
      method: name,
      needs: 'labels',
      point,
      layers,
      estimate: (slice, { positive, negative }) => ({ direction: meanDifference(slice, positive, negative) }),
    });
    const used = found.order.slice(0, settings.candidates);
    const selector = selectorOf(settings.tokens);
    const groups = used.map(({ place }, row) =>
      allLayers(shape).flatMap((layer) =>
        written.map((at): EditNode => ({
          id: `from.${place.layer}.${at}.${layer}`,
          edit: 'ablate',
          at: { point: at, layer },
          vector: ['direction', row],
          strength: settings.amount,
          tokens: selector,
        })),
      ),
    );
    return fitted({
      name: 'directional ablation',
      shape,
      nodes: groups.flat(),
      vectors: { direction: stack(used.map(({ direction }) => direction)) },
      ranking: groups.map((nodes) => nodes.map(({ id }) => id)),
      chosen: 1,
      report: {
        method: name,
        settings,
        places: found.places,
        scoreName: found.scoreName,
        notes: [
          ...found.notes,
          'A place is the layer whose input gives the direction; the ablation acts in every layer. Candidates are in order of separation, not yet of effect.',
        ],
        numbers: { candidates: used.map(({ place }) => place.layer), ...found.numbers },
      },
    });
  },
};
