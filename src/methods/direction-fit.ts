import { wilsonInterval } from '../stats/wilson.ts';
import type { ModelShape, PointName } from '../graph/points.ts';
import type { Dose } from './common-settings.ts';
import { project, spread, unit, type Slice } from './direction.ts';
import { additions, fitted } from './fitted.ts';
import type { FitContext, FitData, Fitted, Method, PlaceScore, Settings } from './method.ts';
import { allLayers, placesOfLayer, ranked, scaledCount, type Place } from './places.ts';
import { dataError, developmentClasses, pairsOf, readLayer, tableOf, type Classes, type Pair } from './rows.ts';
import { selectorOf, settingsError } from './settings.ts';

/**
 * The frame of every method that finds one direction a place: read a layer, estimate the direction on training rows, judge
 * it on validation rows, rank. Methods differ in `estimate`, and in what they do with the directions.
 */

/** Training rows of one place. */
export interface TrainingRows extends Classes {
  /** Empty for methods that need no pairs. */
  readonly pairs: readonly Pair[];
}

export interface Estimate {
  /** Pointing from the unwanted to the wanted class, of any length; only its direction is used. */
  readonly direction: ArrayLike<number>;
  /** Share of variance along it, where the method has one. */
  readonly explained?: number;
}

export interface DirectionSearch {
  readonly method: string;
  readonly needs: 'labels' | 'pairs';
  readonly point: PointName;
  readonly layers: readonly number[];
  /** Null where the rows have no direction at this place. */
  readonly estimate: (slice: Slice, rows: TrainingRows) => Estimate | null;
}

/** What a direction is worth. */
export interface Judgement {
  /** Distance of the class means along the direction over their common standard deviation. */
  readonly separation: number;
  /** Rows on the right side of the midpoint of the training means. */
  readonly right: number;
  readonly count: number;
}

/** A place with its direction. */
export interface Candidate {
  readonly place: Place;
  /** Cohen's d along the direction, of validation rows where there are enough. */
  readonly score: number;
  readonly judgement: Judgement | null;
  /** f64, of length 1. */
  readonly direction: Float64Array;
  /** Training rows along the direction, by class, in the order of the rows. */
  readonly positive: Float64Array;
  readonly negative: Float64Array;
  readonly explained?: number;
}

/** Candidates with what a report says about them. */
export interface Found {
  /** Best first, never empty. */
  readonly order: readonly Candidate[];
  readonly places: readonly PlaceScore[];
  readonly scoreName: string;
  readonly notes: readonly string[];
  readonly numbers: Readonly<Record<'trainingRows' | 'validationRows', number> & { pairs?: number }>;
}

/** A gap without any spread: as far apart as can be said. */
const unbounded = 1e6;

/** Cohen's d of two sets of projections; the variance is the mean of the two, divisor n. Bounded by 1e6, which stands for no spread at all. */
export function separation(positive: ArrayLike<number>, negative: ArrayLike<number>): number {
  const [a, b] = [spread(positive), spread(negative)];
  const gap = a.mean - b.mean;
  const deviation = Math.sqrt((a.deviation ** 2 + b.deviation ** 2) / 2);
  if (gap === 0) return 0;
  return Math.max(-unbounded, Math.min(unbounded, gap / deviation));
}

/**
 * Judges a unit direction on rows it was not made from.
 * @param midpoint halfway between the class means of the training rows along it
 */
export function judge(slice: Slice, rows: Classes, direction: ArrayLike<number>, midpoint: number): Judgement {
  const [positive, negative] = [project(slice, rows.positive, direction), project(slice, rows.negative, direction)];
  const right = positive.filter((value) => value > midpoint).length + negative.filter((value) => value <= midpoint).length;
  return { separation: separation(positive, negative), right, count: positive.length + negative.length };
}

/** Layers that a setting means. @throws method/settings where the model has no such layer */
export function layersOf(method: string, layer: number, shape: ModelShape): number[] {
  const { layers } = shape;
  if (layer >= layers) throw settingsError(method, 'layer', `is ${layer}, the model has ${layers} layers, counted from 0`);
  return layer < 0 ? allLayers(shape) : [layer];
}

/** What to capture for a method that looks at one point. */
export const capturesOf = (method: string, point: PointName, layer: number, shape: ModelShape): ReturnType<Method['captures']> =>
  layer < 0 ? [{ point }] : [{ point, layers: layersOf(method, layer, shape) }];

function judgePlace(
  search: DirectionSearch,
  place: Place,
  slice: Slice,
  train: TrainingRows,
  validation: Classes | null,
): Candidate | null {
  const estimate = search.estimate(slice, train);
  const direction = estimate && unit(estimate.direction);
  if (!estimate || !direction) return null;
  const [positive, negative] = [project(slice, train.positive, direction), project(slice, train.negative, direction)];
  const midpoint = (spread(positive).mean + spread(negative).mean) / 2;
  const judgement = validation && judge(slice, validation, direction, midpoint);
  const score = judgement ? judgement.separation : separation(positive, negative);
  return {
    place,
    score,
    judgement,
    direction,
    positive,
    negative,
    ...(estimate.explained === undefined ? {} : { explained: estimate.explained }),
  };
}

const scoreOf = ({ place, score, judgement }: Candidate): PlaceScore => ({
  layer: place.layer,
  ...(place.head === null ? {} : { head: place.head }),
  score,
  ...(judgement
    ? { accuracy: judgement.right / judgement.count, interval: wilsonInterval(judgement.right, judgement.count), count: judgement.count }
    : {}),
});

/** Training rows that a direction is made from: of pairs only whole ones. */
function trainingRows(
  { method, needs }: DirectionSearch,
  data: FitData,
  train: Classes,
): { readonly rows: TrainingRows; readonly unpaired: number } {
  if (needs === 'labels') return { rows: { ...train, pairs: [] }, unpaired: 0 };
  const { pairs, unpaired } = pairsOf(method, data, ['train']);
  return { rows: { positive: pairs.map(({ positive }) => positive), negative: pairs.map(({ negative }) => negative), pairs }, unpaired };
}

/**
 * The direction of every place, judged and ranked.
 * @throws method/data, request/aborted
 */
export async function findDirections(data: FitData, context: FitContext, search: DirectionSearch): Promise<Found> {
  const { method, layers } = search;
  const table = tableOf(method, data, search.point);
  const { train, validation } = developmentClasses(method, data);
  const { rows, unpaired } = trainingRows(search, data, train);
  const judged = validation.positive.length > 1 && validation.negative.length > 1 ? validation : null;
  const notes: string[] = [];
  if (!judged) notes.push('There are fewer than two validation rows of a class: places are ranked on training rows, which flatters them.');
  if (unpaired > 0) notes.push(`${unpaired} training rows without a counterpart were left out.`);

  const candidates: Candidate[] = [];
  let without = 0;
  for (const [done, layer] of layers.entries()) {
    const activations = await readLayer(method, table, layer, context);
    for (const place of placesOfLayer(search.point, layer, data.shape)) {
      const slice = { data: activations, stride: table.width, start: place.start, width: place.width };
      const candidate = judgePlace(search, place, slice, rows, judged);
      if (candidate) candidates.push(candidate);
      else without++;
    }
    context.onProgress?.(done + 1, layers.length);
  }
  if (candidates.length === 0) throw dataError(method, 'the classes do not differ anywhere, so there is no direction');
  if (without > 0) notes.push(`${without} places have no direction: their classes do not differ.`);
  const order = ranked(candidates, context.random);
  return {
    order,
    places: order.map(scoreOf),
    scoreName: `Cohen's d of ${judged ? 'validation' : 'training'} rows along the direction`,
    notes,
    numbers: {
      trainingRows: rows.positive.length + rows.negative.length,
      validationRows: validation.positive.length + validation.negative.length,
      ...(rows.pairs.length > 0 ? { pairs: rows.pairs.length } : {}),
    },
  };
}

/** Length of the vector that is added at multiplier 1. */
export function doseOf({ positive, negative }: Pick<Candidate, 'positive' | 'negative'>, dose: Dose): number {
  if (dose === 'unit') return 1;
  if (dose === 'sigma') return spread([...positive, ...negative]).deviation;
  return Math.abs(spread(positive).mean - spread(negative).mean);
}

/** How many places are used and how many the graph holds. 0 stands for the preset: one layer of all, or 48 of 1,024 heads and four times as many. */
export function placeCounts(order: readonly Candidate[], count: number, hold: number): { readonly chosen: number; readonly held: number } {
  const heads = order[0].place.head !== null;
  const chosen = Math.min(order.length, count > 0 ? count : heads ? scaledCount(48, 1024, order.length) : 1);
  const held = Math.min(order.length, Math.max(chosen, hold > 0 ? hold : heads ? 4 * chosen : order.length));
  return { chosen, held };
}

/** A method that adds one direction a place. */
export interface AdditionPlan extends Omit<DirectionSearch, 'layers'> {
  /** Name of the graph, for people. */
  readonly graphName: string;
  readonly settings: Settings;
  /** -1 for all. */
  readonly layer: number;
  readonly count: number;
  readonly hold: number;
  readonly multiplier: number;
  readonly dose: Dose;
  readonly tokens: string;
}

/** @throws method/data, method/settings, request/aborted */
export async function fitAdditions(data: FitData, context: FitContext, plan: AdditionPlan): Promise<Fitted> {
  const found = await findDirections(data, context, { ...plan, layers: layersOf(plan.method, plan.layer, data.shape) });
  const { chosen, held } = placeCounts(found.order, plan.count, plan.hold);
  const used = found.order.slice(0, held).map((candidate) => ({ ...candidate, size: doseOf(candidate, plan.dose) }));
  const { nodes, vectors } = additions(
    used.map(({ place, direction, size }) => ({ place, vector: direction.map((value) => value * size), strength: plan.multiplier })),
    selectorOf(plan.tokens),
  );
  const explained = used.flatMap((candidate) => (candidate.explained === undefined ? [] : [candidate.explained]));
  return fitted({
    name: plan.graphName,
    shape: data.shape,
    nodes,
    vectors,
    ranking: nodes.map(({ id }) => [id]),
    chosen,
    report: {
      method: plan.method,
      settings: plan.settings,
      places: found.places,
      scoreName: found.scoreName,
      notes: found.notes,
      numbers: {
        count: chosen,
        held,
        length: used.map(({ size }) => size),
        ...(explained.length > 0 ? { explained } : {}),
        ...found.numbers,
      },
    },
  });
}

/** Mean of the differences of pairs: `width` numbers. */
export function pairDifference(slice: Slice, pairs: readonly Pair[]): Float64Array {
  const sum = new Float64Array(slice.width);
  for (const { positive, negative } of pairs) {
    const [a, b] = [positive * slice.stride + slice.start, negative * slice.stride + slice.start];
    for (let i = 0; i < slice.width; i++) sum[i] += slice.data[a + i] - slice.data[b + i];
  }
  for (let i = 0; i < slice.width; i++) sum[i] /= pairs.length;
  return sum;
}
