import type { EditNode, ReadNode } from '../graph/document.ts';
import { bestThreshold, type Threshold } from '../stats/threshold.ts';
import { dose, layer, multiplier, tokens } from './common-settings.ts';
import { length, meanDifference, project, unit, type Slice } from './direction.ts';
import { doseOf, findDirections, type TrainingRows } from './direction-fit.ts';
import { fitted, stack } from './fitted.ts';
import type { FitContext, FitData, Fitted, Method, PlaceScore } from './method.ts';
import { pairedComponent } from './pca.ts';
import { placeAt, placeId, ranked } from './places.ts';
import { dataError, developmentClasses, pairsOf, readLayer, tableOf } from './rows.ts';
import { readRows, selectorOf, settingsError, type SettingsOf } from './settings.ts';

/**
 * Conditional activation steering: a behaviour vector that is added only where the prompt looks like the texts that ask for it. The gate is
 * the cosine of the last prompt token's activation with a condition vector, against a threshold that separates the examples best.
 *
 * Published, the condition is the similarity of h with tanh of its projection on the vector; without the tanh that is |cos(h, c)|. Here the
 * sign is kept, because the condition vector has one: it points to the texts where the intervention is wanted.
 */

const name = 'cast';
const point = 'resid_post';

const rows = {
  layer: { ...layer, doc: 'the layer whose output is steered, counted from 0; -1 judges all layers above the condition' },
  conditionLayer: {
    kind: 'integer',
    default: -1,
    least: -1,
    most: 4095,
    doc: 'the layer whose output is looked at; -1 searches those below the steered one, or the first half',
  },
  count: { kind: 'integer', default: 1, least: 1, most: 4096, doc: 'layers steered together, the best first' },
  dose,
  multiplier,
  tokens: { ...tokens, default: 'all' },
} as const satisfies Method['settings'];

interface Condition {
  readonly layer: number;
  readonly direction: Float64Array;
  readonly threshold: Threshold;
  readonly score: number;
}

/** Layers that may hold the condition; at least one layer has to be left above them. @throws method/settings */
function conditionLayers(settings: SettingsOf<typeof rows>, layers: number): number[] {
  const wrong = (setting: string, problem: string): never => {
    throw settingsError(name, setting, problem);
  };
  if (layers < 2) throw dataError(name, 'the model has one layer; the condition is read in a layer below the steered one');
  if (settings.layer >= layers) wrong('layer', `is ${settings.layer}, the model has ${layers} layers, counted from 0`);
  if (settings.layer === 0) wrong('layer', 'is 0, and the condition has to be read below it');
  const top = settings.layer > 0 ? settings.layer - 1 : layers - 2;
  if (settings.conditionLayer > top) wrong('conditionLayer', `is ${settings.conditionLayer}, at most ${top} lies below a steered layer`);
  if (settings.conditionLayer >= 0) return [settings.conditionLayer];
  const last = settings.layer > 0 ? top : Math.max(0, Math.ceil(layers / 2) - 1);
  return Array.from({ length: last + 1 }, (_, index) => index);
}

function cosines(slice: Slice, list: readonly number[], direction: Float64Array): Float64Array {
  const along = project(slice, list, direction);
  return along.map((value, i) => {
    const at = list[i] * slice.stride + slice.start;
    const size = length(slice.data.subarray(at, at + slice.width));
    return size === 0 ? 0 : value / size;
  });
}

/** The best condition: vector from training rows, threshold and comparator and layer from training and validation rows by F1. */
async function findCondition(
  data: FitData,
  layers: readonly number[],
  context: FitContext,
): Promise<{ found: Condition; places: PlaceScore[]; paired: boolean }> {
  const source = data.condition ? { ...data, ...data.condition } : data;
  const table = tableOf(name, source, point);
  const { train, all } = developmentClasses(name, source);
  const paired = source.rows.some((row) => row.part === 'train' && row.pair >= 0);
  const pairs = paired ? pairsOf(name, source, ['train']).pairs : [];
  const conditions: Condition[] = [];
  for (const at of layers) {
    const slice: Slice = { data: await readLayer(name, table, at, context), stride: table.width, start: 0, width: table.width };
    const raw = paired
      ? pairedComponent(slice, { ...train, pairs }, 'center', false)?.direction
      : meanDifference(slice, train.positive, train.negative);
    const direction = raw && unit(raw);
    if (!direction) continue;
    const list = [...all.positive, ...all.negative];
    const labels = list.map((_, i): 0 | 1 => (i < all.positive.length ? 1 : 0));
    const threshold = bestThreshold(cosines(slice, list, direction), labels);
    conditions.push({ layer: at, direction, threshold, score: threshold.f1 });
  }
  if (conditions.length === 0) throw dataError(name, 'the texts of the condition do not differ in any layer');
  const order = ranked(conditions, context.random);
  return { found: order[0], places: order.map((one) => ({ layer: one.layer, score: one.score })), paired };
}

async function fit(data: FitData, given: Readonly<Record<string, unknown>>, context: FitContext): Promise<Fitted> {
  const settings = readRows(name, rows, given);
  const { shape } = data;
  const { found: condition, places, paired } = await findCondition(data, conditionLayers(settings, shape.layers), context);
  const steered =
    settings.layer >= 0 ? [settings.layer] : Array.from({ length: shape.layers - condition.layer - 1 }, (_, i) => condition.layer + 1 + i);
  const behaviour = await findDirections(data, context, {
    method: name,
    needs: 'pairs',
    point,
    layers: steered,
    estimate: (slice: Slice, train: TrainingRows) => pairedComponent(slice, train, 'center', false),
  });
  const used = behaviour.order.map((candidate) => ({ ...candidate, size: doseOf(candidate, settings.dose) }));
  const { above, threshold, f1 } = condition.threshold;
  const read: ReadNode = { id: 'condition', read: 'cosine', at: { point, layer: condition.layer }, tokens: 'last', vector: 'condition' };
  const edits = used.map(({ place }, row): EditNode => ({
    id: placeId(place),
    edit: 'add',
    at: placeAt(place),
    vector: ['direction', row],
    strength: settings.multiplier,
    tokens: selectorOf(settings.tokens),
    when: { read: 'condition', [above ? 'above' : 'below']: Math.fround(threshold), hold: 'last' },
  }));
  const notes = [...behaviour.notes];
  if (!data.condition) notes.push('No texts for the condition were given: the wanted examples are those where the intervention acts.');
  if (!paired)
    notes.push('The texts of the condition are not paired: its vector is their mean difference instead of a component of pairs.');
  notes.push('The gate reads the last prompt token, so the token rule of the examples of the condition should be the same.');
  return fitted({
    name: 'conditional activation steering',
    shape,
    nodes: [read, ...edits],
    vectors: {
      condition: { shape: [shape.hidden], data: Float32Array.from(condition.direction) },
      direction: stack(used.map(({ direction, size }) => direction.map((value) => value * size))),
    },
    ranking: edits.map(({ id }) => [id]),
    chosen: settings.count,
    report: {
      method: name,
      settings,
      places: behaviour.places,
      scoreName: behaviour.scoreName,
      notes,
      numbers: {
        conditionLayer: condition.layer,
        threshold,
        opens: above ? 'above' : 'below',
        f1,
        conditionLayers: places.map((place) => place.layer),
        conditionF1: places.map((place) => place.score),
        count: Math.min(settings.count, used.length),
        length: used.map(({ size }) => size),
        ...behaviour.numbers,
      },
    },
  });
}

export const cast: Method = {
  name,
  title: 'CAST: conditional steering',
  what: 'Adds a direction only where the prompt looks like the texts that call for it.',
  source: 'Lee et al. 2024, Programming Refusal with Conditional Activation Steering',
  needs: 'pairs',
  settings: rows,
  captures: () => [{ point }],
  fit,
};
