import { normal, shuffle } from '../stats/random.ts';
import { wilsonInterval } from '../stats/wilson.ts';
import { tokens } from './common-settings.ts';
import { meanDifference, project, spread, unit, type Slice } from './direction.ts';
import { additions, fitted } from './fitted.ts';
import { probeHeads, type HeadProbe } from './head-probes.ts';
import type { FitContext, FitData, Fitted, Method, PlaceScore, Settings } from './method.ts';
import { allLayers, placesOfLayer, ranked, scaledCount, type Place } from './places.ts';
import { dataError, developmentClasses, readLayer, tableOf, type Classes } from './rows.ts';
import { readRows, selectorOf } from './settings.ts';

/**
 * Inference-time intervention: a logistic probe on every head's output says which heads know the difference; the best K of them are moved
 * along their direction by alpha standard deviations of what they usually do there.
 */

const name = 'iti';
const point = 'z';

const rows = {
  direction: {
    kind: 'choice',
    default: 'mass-mean',
    options: ['mass-mean', 'probe', 'random'],
    doc: 'mass-mean: difference of the class means over training and validation rows, as in every published number; probe: the coefficients of the probe; random: a direction drawn at random, as a control',
  },
  alpha: { kind: 'number', default: 15, least: -1000, most: 1000, doc: 'standard deviations that a head is moved' },
  heads: { kind: 'integer', default: 0, least: 0, most: 65_536, doc: 'heads moved (K); 0 scales 48 of 1,024 heads to the model' },
  randomHeads: { kind: 'flag', default: false, doc: 'choose heads at random instead of by the accuracy of their probes, as a control' },
  tokens,
  hold: {
    kind: 'integer',
    default: 0,
    least: 0,
    most: 65_536,
    doc: 'heads the graph holds, so that more can be tried without fitting again; 0 is four times K',
  },
  regularization: {
    kind: 'number',
    default: 1,
    least: 1e-6,
    most: 1e6,
    doc: "C of the probes, the inverse strength of their penalty; 1 is scikit-learn's default",
  },
} as const satisfies Method['settings'];

interface Head {
  readonly place: Place;
  readonly score: number;
  readonly probe: HeadProbe;
  /** Of length 1; null where the head does not differ. */
  readonly direction: Float64Array | null;
  /** Standard deviation (divisor n) of the spread rows' projections on the direction. */
  readonly sigma: number;
}

interface Layer {
  readonly layer: number;
  readonly activations: Float32Array;
  readonly stride: number;
  /** Rows that sigma is measured on. */
  readonly spread: { readonly data: Float32Array; readonly rows: readonly number[] };
}

async function fit(data: FitData, given: Settings, context: FitContext): Promise<Fitted> {
  const settings = readRows(name, rows, given);
  const { shape } = data;
  const table = tableOf(name, data, point);
  const { train, validation, all } = developmentClasses(name, data);
  const validationCount = validation.positive.length + validation.negative.length;
  if (validationCount === 0) throw dataError(name, 'there are no validation rows, by which heads are ranked');
  const spreadTable = data.spread?.[point];
  const ownRows = [...all.positive, ...all.negative].sort((a, b) => a - b);
  const notes: string[] = [];
  if (validation.positive.length === 0 || validation.negative.length === 0)
    notes.push('All validation rows are of one class: accuracy says how often that class is recognised, no more.');

  const heads: Head[] = [];
  for (const layer of allLayers(shape)) {
    const activations = await readLayer(name, table, layer, context);
    const other = spreadTable ? await readLayer(name, spreadTable, layer, context) : null;
    const spreadRows =
      other && spreadTable
        ? { data: other, rows: Array.from({ length: spreadTable.rows }, (_, row) => row) }
        : { data: activations, rows: ownRows };
    const places = placesOfLayer(point, layer, shape);
    const probes = await probeHeads(activations, places, { train, validation, rows: data.rows }, settings.regularization, context);
    const here: Layer = { layer, activations, stride: table.width, spread: spreadRows };
    places.forEach((place, i) => heads.push(judgeHead(place, probes[i], here, all, settings.direction, validationCount, context.random)));
    context.onProgress?.(layer + 1, shape.layers);
  }

  const order = settings.randomHeads ? shuffle(heads, context.random) : ranked(heads, context.random);
  const usable = order.filter(({ direction, sigma }) => direction !== null && sigma > 0);
  if (usable.length === 0) throw dataError(name, 'no head differs between the classes');
  if (usable.length < order.length)
    notes.push(`${order.length - usable.length} heads give the same output for all rows and were left out.`);
  const chosen = Math.min(usable.length, settings.heads > 0 ? settings.heads : scaledCount(48, 1024, order.length));
  if (settings.heads === 0) notes.push(`${chosen} of ${order.length} heads: 48 of 1024 scaled to this model.`);
  const used = usable.slice(0, Math.max(chosen, settings.hold > 0 ? settings.hold : 4 * chosen));
  if (!settings.randomHeads) notes.push(...tieNote(order, chosen));
  if (!spreadTable) notes.push('Sigma is measured on the training and validation rows themselves, because no texts for it were given.');
  const unfinished = heads.filter(({ probe }) => !probe.converged).length;
  if (unfinished > 0) notes.push(`${unfinished} probes did not reach their optimum.`);

  const { nodes, vectors } = additions(
    used.map(({ place, direction, sigma }) => ({ place, vector: direction ?? [], strength: settings.alpha * sigma })),
    selectorOf(settings.tokens),
  );
  return fitted({
    name: 'inference-time intervention',
    shape,
    nodes,
    vectors,
    ranking: nodes.map(({ id }) => [id]),
    chosen,
    report: {
      method: name,
      settings,
      places: order.map((head): PlaceScore => ({
        layer: head.place.layer,
        head: head.place.head ?? 0,
        score: head.score,
        accuracy: head.score,
        interval: wilsonInterval(head.probe.validationRight, validationCount),
        count: validationCount,
      })),
      scoreName: settings.randomHeads
        ? 'share of validation rows that the probe gets right; heads were chosen at random'
        : 'share of validation rows that the probe gets right',
      notes,
      numbers: {
        heads: chosen,
        held: used.length,
        alpha: settings.alpha,
        sigma: used.map(({ sigma }) => sigma),
        trainingRows: train.positive.length + train.negative.length,
        validationRows: validationCount,
        spreadRows: spreadTable ? spreadTable.rows : ownRows.length,
      },
    },
  });
}

function judgeHead(
  place: Place,
  probe: HeadProbe,
  { activations, stride, spread: spreadRows }: Layer,
  all: Classes,
  kind: 'mass-mean' | 'probe' | 'random',
  validationCount: number,
  random: () => number,
): Head {
  const { start, width } = place;
  const slice: Slice = { data: activations, stride, start, width };
  const raw = {
    'mass-mean': () => meanDifference(slice, all.positive, all.negative),
    probe: () => probe.weights,
    random: () => Float64Array.from({ length: width }, () => normal(random)),
  }[kind]();
  const direction = unit(raw);
  const sigma = direction ? spread(project({ ...slice, data: spreadRows.data }, spreadRows.rows, direction)).deviation : 0;
  return { place, probe, score: probe.validationRight / validationCount, direction, sigma };
}

/** Whether the last head chosen is there by lot. */
function tieNote(order: readonly Head[], chosen: number): string[] {
  if (chosen >= order.length || order[chosen - 1].score !== order[chosen].score) return [];
  const tied = order.filter(({ score }) => score === order[chosen].score).length;
  return [`${tied} heads share the accuracy of the last one chosen; which of them are used was drawn by lot from the seed.`];
}

export const iti: Method = {
  name,
  title: 'ITI: inference-time intervention',
  what: 'Finds the attention heads that tell the classes apart and moves them along their direction.',
  source: 'Li et al. 2023, Inference-Time Intervention: Eliciting Truthful Answers from a Language Model',
  needs: 'labels',
  settings: rows,
  captures: () => [{ point }],
  fit,
};
