import type { EditNode } from '../graph/document.ts';
import { pointWidth, type ModelShape, type PointName } from '../graph/points.ts';
import { fitted, stack } from './fitted.ts';
import type { FitContext, FitData, Fitted, Method, PlaceScore, Settings } from './method.ts';
import { allLayers, scaledCount } from './places.ts';
import { dataError, pairsOf, readLayer, tableOf, type Pair } from './rows.ts';
import { readRows, selectorOf, settingsError } from './settings.ts';

/**
 * Semantics-adaptive dynamic intervention: elements (or whole heads) whose activations differ most between wanted and unwanted texts
 * are multiplied by 1 + delta at the last prompt token, x(1 + s*mask). The vector that steers is thus the text's own.
 */

const name = 'sadi';

/** Site names are the paper's; `places` is what Llama-2-7B has, for which the counts were chosen. */
const sites = {
  heads: { point: 'z', count: 10, places: 1024 },
  neurons: { point: 'mlp_act', count: 100, places: 352_256 },
  hidden: { point: 'mlp_out', count: 10, places: 131_072 },
} as const satisfies Record<string, { readonly point: PointName; readonly count: number; readonly places: number }>;

const rows = {
  site: {
    kind: 'choice',
    default: 'heads',
    options: ['heads', 'neurons', 'hidden'],
    doc: 'heads: whole heads at `z`; neurons: single elements of `mlp_act`; hidden: single elements of `mlp_out`',
  },
  score: {
    kind: 'choice',
    default: 'signed',
    options: ['signed', 'absolute', 't'],
    doc: 'what places are ranked by: the mean difference wanted - unwanted as the released code does, its size, or its t statistic over pairs',
  },
  count: {
    kind: 'integer',
    default: 0,
    least: 0,
    most: 65_536,
    doc: 'places used, over all layers; 0 scales 10 heads, 100 neurons or 10 hidden elements of a 7B model to this one',
  },
  delta: {
    kind: 'number',
    default: 4,
    least: -1000,
    most: 1000,
    doc: 'activations are multiplied by 1 + delta; the released code names 1 + delta, its smallest is 5',
  },
  propagation: {
    kind: 'choice',
    default: 'live',
    options: ['live', 'frozen'],
    doc: 'frozen: the site is held at its unedited values in all layers, so that an edit does not reach the same site further up, as in the released code',
  },
  tokens: { kind: 'selector', default: 'last', doc: 'tokens that are edited; frozen propagation needs `last`' },
  hold: {
    kind: 'integer',
    default: 0,
    least: 0,
    most: 65_536,
    doc: 'places the graph holds, so that more can be tried without fitting again; 0 is four times the count',
  },
} as const satisfies Method['settings'];

/** Numbers of all masks together; more places than fit are not held. 128 MiB. */
const maskNumbers = 33_554_432;
/** A difference that is the same in every pair has no spread to compare with; it counts as this many standard errors. */
const certain = 1e6;

/** Score of each place of a layer: heads, or elements. Differences are those of the training pairs, so that K and delta can be chosen on others. */
function scoreLayer(
  data: Float32Array,
  stride: number,
  group: number,
  pairs: readonly Pair[],
  score: 'signed' | 'absolute' | 't',
): Float64Array {
  const places = stride / group;
  const sum = new Float64Array(places);
  const squares = new Float64Array(places);
  const scores = new Float64Array(places);
  const difference = (pair: Pair, place: number): number => {
    const [a, b] = [pair.positive * stride + place * group, pair.negative * stride + place * group];
    let total = 0;
    for (let i = 0; i < group; i++) total += data[a + i] - data[b + i];
    return total / group;
  };
  for (const pair of pairs) for (let place = 0; place < places; place++) sum[place] += difference(pair, place);
  for (let place = 0; place < places; place++) sum[place] /= pairs.length;
  if (score !== 't') return score === 'absolute' ? sum.map(Math.abs) : sum;
  for (const pair of pairs) for (let place = 0; place < places; place++) squares[place] += (difference(pair, place) - sum[place]) ** 2;
  for (let place = 0; place < places; place++) {
    const error = Math.sqrt(squares[place] / (pairs.length - 1) / pairs.length);
    const t = sum[place] / error;
    scores[place] = error > 0 ? Math.max(-certain, Math.min(certain, t)) : Math.sign(sum[place]) * certain;
  }
  return scores;
}

/** Indices of the `count` largest scores, best first; equal ones in an order drawn from `random`. */
export function topPlaces(scores: Float64Array, count: number, random: () => number): number[] {
  const ties = Float64Array.from(scores, random);
  const order = Uint32Array.from(scores, (_, index) => index).sort((a, b) => scores[b] - scores[a] || ties[a] - ties[b]);
  return [...order.subarray(0, count)];
}

function siteOf(shape: ModelShape, site: keyof typeof sites): { point: PointName; width: number; group: number; perLayer: number } {
  const { point } = sites[site];
  const width = pointWidth(point, shape, 0);
  const group = site === 'heads' ? shape.headDim : 1;
  return { point, width, group, perLayer: width / group };
}

async function fit(data: FitData, settings: Settings, context: FitContext): Promise<Fitted> {
  const { site, score, count, delta, propagation, tokens, hold } = readRows(name, rows, settings);
  const { shape } = data;
  const { point, width, group, perLayer } = siteOf(shape, site);
  const selector = selectorOf(tokens);
  if (propagation === 'frozen' && selector !== 'last')
    throw settingsError(name, 'tokens', 'must be "last" with frozen propagation, which takes the unedited values of the last prompt token');
  const { pairs, unpaired } = pairsOf(name, data, ['train']);
  if (score === 't' && pairs.length < 2) throw dataError(name, 'the t statistic needs at least two training pairs');
  const table = tableOf(name, data, point);
  const scores = new Float64Array(shape.layers * perLayer);
  for (const layer of allLayers(shape)) {
    const activations = await readLayer(name, table, layer, context);
    scores.set(scoreLayer(activations, width, group, pairs, score), layer * perLayer);
    context.onProgress?.(layer + 1, shape.layers);
  }

  const notes: string[] = [];
  const chosen = count > 0 ? Math.min(count, scores.length) : scaledCount(sites[site].count, sites[site].places, scores.length);
  if (count === 0) notes.push(`${chosen} of ${scores.length} ${site}: ${sites[site].count} of ${sites[site].places} scaled to this model.`);
  const asked = Math.min(scores.length, Math.max(chosen, hold > 0 ? hold : 4 * chosen));
  const room = site === 'heads' ? asked : Math.floor(maskNumbers / width);
  const held = Math.min(asked, room);
  if (held < asked) notes.push(`The graph holds the best ${held} places instead of ${asked}: a mask is ${width} numbers long.`);
  if (unpaired > 0) notes.push(`${unpaired} training rows without a counterpart were left out.`);
  const positive = scores.reduce((n, value) => n + (value > 0 ? 1 : 0), 0);
  if (positive < chosen) notes.push(`Only ${positive} places have a score above 0.`);

  const order = topPlaces(scores, Math.max(held, Math.min(scores.length, 4096)), context.random);
  const place = (index: number): { layer: number; part: number } => ({ layer: Math.floor(index / perLayer), part: index % perLayer });
  const places = order.map((index): PlaceScore => {
    const { layer, part } = place(index);
    return { layer, ...(site === 'heads' ? { head: part } : { element: part }), score: scores[index] };
  });
  const used = order.slice(0, held);
  const edits = used.map((index, row): EditNode => {
    const { layer, part } = place(index);
    const at = site === 'heads' ? { point, layer, head: part } : { point, layer };
    const id = site === 'heads' ? `h${layer}.${part}` : `${point}.${layer}.${part}`;
    const mask = site === 'heads' ? {} : { mask: ['mask', row] as const };
    return { id, edit: 'scale', at, tokens: selector, strength: Math.fround(delta), ...mask };
  });
  const pins = propagation === 'frozen' ? allLayers(shape).map((layer) => pin(point, layer)) : [];
  if (pins.length > 0)
    notes.push('Frozen: lane 0 of a run must be the unedited model; its values at the last prompt token are held in every layer.');
  const masks = used.map((index) => {
    const mask = new Float32Array(width);
    mask[place(index).part] = 1;
    return mask;
  });
  return fitted({
    name: `SADI ${site}`,
    shape,
    // Edits of one place run in document order: first the unedited value, then its multiple.
    nodes: [...pins, ...edits],
    ...(site === 'heads' ? {} : { vectors: { mask: stack(masks) } }),
    ranking: edits.map(({ id }) => [id]),
    chosen,
    fixed: pins.map(({ id }) => id),
    report: {
      method: name,
      settings: readRows(name, rows, settings),
      places,
      scoreName: scoreNames[score],
      notes,
      numbers: {
        count: Math.min(chosen, held),
        held,
        pairs: pairs.length,
        delta,
        perLayer: countByLayer(used.slice(0, chosen), perLayer, shape.layers),
      },
    },
  });
}

const scoreNames = {
  signed: 'mean difference, activation units',
  absolute: 'size of the mean difference, activation units',
  t: 'mean difference over its standard error',
} as const;

/** The whole site of a layer as it is in lane 0, the unedited model. */
const pin = (point: PointName, layer: number): EditNode => ({
  id: `pin.${layer}`,
  edit: 'set',
  at: { point, layer },
  tokens: 'last',
  vector: { from: { lane: 0, point, layer, tokens: 'last' } },
});

function countByLayer(indices: readonly number[], perLayer: number, layers: number): number[] {
  const counts = new Array<number>(layers).fill(0);
  for (const index of indices) counts[Math.floor(index / perLayer)]++;
  return counts;
}

export const sadi: Method = {
  name,
  title: 'SADI: scale what differs',
  what: 'Multiplies the heads or elements that differ most between wanted and unwanted texts, so that the steering follows the text it acts on.',
  source: 'Wang et al. 2024, Semantics-Adaptive Activation Intervention for LLMs via Dynamic Steering Vectors',
  needs: 'pairs',
  settings: rows,
  captures: (settings) => [{ point: sites[readRows(name, rows, settings).site].point }],
  fit,
};
