import { TillerError } from '../errors/error.ts';
import type { BoundGraph, EditNode, Lane, Vector } from '../graph/document.ts';
import { graphLimits } from '../graph/limits.ts';
import { pointRow, pointWidth, type ModelShape, type PointName } from '../graph/points.ts';
import { buildGraph } from '../graph/vectors.ts';
import type { PlaceScore } from './method.ts';
import { allLayers, placeAt, placeId, placesOfLayer } from './places.ts';
import { dataError } from './rows.ts';

/**
 * Activation patching between two prompts of equal length, place by place: activations of a clean run are set in the run of a corrupted
 * prompt, and what that gives back of a logit difference is the place's effect. Lanes of one run share their prompt, so values of the other
 * prompt come as vectors that were captured before, not from a lane.
 */

const method = 'patching';

/** Activations of the clean prompt at one point. */
export interface CleanRun {
  readonly point: PointName;
  /** Positions that are patched, ascending. */
  readonly positions: readonly number[];
  /** By layer, positions.length x width. */
  readonly layers: readonly Float32Array[];
}

export interface PatchingGraph {
  readonly graph: BoundGraph;
  /** One a place, in order of layer and head: its activations are the clean ones. */
  readonly lanes: readonly Lane[];
  readonly places: readonly Pick<PlaceScore, 'layer' | 'head'>[];
}

/**
 * The position of prompts that differ must mean the same in both.
 * @throws method/data where the prompts are of different length
 */
export function checkAligned(cleanLength: number, corruptedLength: number): void {
  if (cleanLength === corruptedLength && cleanLength > 0) return;
  throw dataError(
    method,
    `the prompts have ${cleanLength} and ${corruptedLength} tokens; they must have as many, so that each position stands for the same`,
  );
}

/**
 * One `set` a place and position, and a lane a place.
 * @param positions of `clean` lie within prompts of the same length (checkAligned)
 * @throws method/data where the captured numbers do not fit; graph/too-large beyond 65,536 places times positions
 */
export function patchingGraph(shape: ModelShape, clean: CleanRun): PatchingGraph {
  const { point, positions, layers } = clean;
  const width = pointWidth(point, shape, 0);
  if (!pointRow(point).perLayer || width === 0) throw dataError(method, `"${point}" is no point of a layer`);
  if (positions.length === 0) throw dataError(method, 'no position is to be patched');
  if (layers.length !== shape.layers)
    throw dataError(method, `activations of ${layers.length} layers were given, the model has ${shape.layers}`);
  const count = positions.length * placesOfLayer(point, 0, shape).length * shape.layers;
  if (count > graphLimits.nodes)
    throw new TillerError('graph/too-large', { what: 'the number of places times positions', got: count, limit: graphLimits.nodes });
  const nodes: EditNode[] = [];
  const lanes: Lane[] = [];
  const places: { layer: number; head?: number }[] = [];
  const vectors: Record<string, Vector> = {};
  for (const layer of allLayers(shape)) {
    const data = layers[layer];
    if (data.length !== positions.length * width)
      throw dataError(method, `layer ${layer} has ${data.length} numbers for ${positions.length} positions of ${width}`);
    const here = placesOfLayer(point, layer, shape);
    // Row p * heads + h is head h at position p, which is how a position's heads lie side by side already.
    vectors[`clean.${layer}`] = { shape: [positions.length * here.length, width / here.length], data };
    here.forEach((place, part) => {
      const strengths: Record<string, number> = {};
      positions.forEach((position, row) => {
        const id = `${placeId(place)}@${position}`;
        strengths[id] = 1;
        const vector = [`clean.${layer}`, row * here.length + part] as const;
        nodes.push({ id, edit: 'set', at: placeAt(place), tokens: { at: [position] }, vector });
      });
      lanes.push({ name: placeId(place), strengths });
      places.push(place.head === null ? { layer } : { layer, head: place.head });
    });
  }
  return { graph: buildGraph({ name: `patching ${point}`, model: shape, nodes, vectors }), lanes, places };
}

export interface PatchingReport {
  /** Logit difference of the two unpatched runs. */
  readonly clean: number;
  readonly corrupted: number;
  /** By place, best first; `score` is the share of the clean difference that patching this place alone gives back: 0 as corrupted, 1 as clean. */
  readonly places: readonly PlaceScore[];
  readonly scoreName: string;
}

/**
 * Effects from logit differences, logit(right) - logit(wrong) at the last position.
 * @param patched by place, in the order of `places`
 * @throws method/data where the two prompts do not differ in it, or a number is not finite
 */
export function patchingReport(
  places: PatchingGraph['places'],
  differences: { readonly clean: number; readonly corrupted: number; readonly patched: readonly number[] },
): PatchingReport {
  const { clean, corrupted, patched } = differences;
  if (patched.length !== places.length) throw dataError(method, `${patched.length} results for ${places.length} places`);
  if (![clean, corrupted, ...patched].every(Number.isFinite)) throw dataError(method, 'a logit difference is not a finite number');
  const whole = clean - corrupted;
  if (Math.abs(whole) < 1e-6) throw dataError(method, 'both prompts have the same logit difference, so there is nothing to give back');
  const scored = places.map((place, index): PlaceScore => ({ ...place, score: (patched[index] - corrupted) / whole }));
  return {
    clean,
    corrupted,
    places: scored.sort((a, b) => b.score - a.score || a.layer - b.layer || (a.head ?? 0) - (b.head ?? 0)),
    scoreName: 'share of the clean logit difference given back: 0 as corrupted, 1 as clean',
  };
}
