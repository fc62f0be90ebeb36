import { TillerError } from '../errors/error.ts';
import type { BoundGraph, EditNode, Vector } from '../graph/document.ts';
import { pointNames, pointRow, type PointName } from '../graph/points.ts';
import { buildGraph } from '../graph/vectors.ts';
import { placeAt, placeId, placesOfLayer } from '../methods/places.ts';
import { patchPlaces, type PatchedPlace, type PatchRequest, type PatchResult, type PatchRun } from './patching.ts';

/** Activation patching at several points, with what the page and the command line both say of it. */

/** Points that a study can patch: those of a layer. */
export const patchablePoints: readonly PointName[] = pointNames.filter((point) => pointRow(point).perLayer);

export interface PatchEffect extends PatchedPlace {
  /** Share of the difference between the two runs that comes back: 0 as corrupted, 1 as clean; may lie outside. */
  readonly share: number;
}

export interface PatchStudy extends Pick<PatchResult, 'clean' | 'corrupted' | 'positions'> {
  /** By point as asked for; places in order of effect, largest share first. */
  readonly points: readonly { readonly point: PointName; readonly places: readonly PatchEffect[] }[];
}

export interface PatchStudyRun extends Omit<PatchRun, 'onPlaces'> {
  /** Places of a layer as soon as they are done. */
  readonly onEffects?: (point: PointName, effects: readonly PatchEffect[]) => void;
}

/** @throws eval/setting, and what patchPlaces throws */
export async function patchStudy(
  request: Omit<PatchRequest, 'point'>,
  points: readonly PointName[],
  run: PatchStudyRun,
): Promise<PatchStudy> {
  const problem = points.length === 0 ? 'no point is to be patched' : points.find((point) => !patchablePoints.includes(point));
  if (problem !== undefined)
    throw new TillerError('eval/setting', { problem: points.length === 0 ? problem : `"${problem}" is no point of a layer` });
  const { onEffects, onProgress, onEnds, ...rest } = run;
  const results: { point: PointName; result: PatchResult }[] = [];
  let reused = 0;
  for (const [index, point] of points.entries()) {
    let ends = { clean: 0, corrupted: 0 };
    let last = 0;
    const result = await patchPlaces(
      { ...request, point },
      {
        ...rest,
        onEnds: (found) => {
          ends = found;
          if (index === 0) onEnds?.(found);
        },
        onPlaces: (places) => onEffects?.(point, effects(places, ends)),
        onProgress: (progress) => {
          last = progress.reused;
          onProgress?.({
            done: index * progress.total + progress.done,
            total: points.length * progress.total,
            reused: reused + progress.reused,
          });
        },
      },
    );
    reused += last;
    results.push({ point, result });
  }
  const [{ result }] = results;
  return {
    clean: result.clean,
    corrupted: result.corrupted,
    positions: result.positions,
    points: results.map(({ point, result: { patched, clean, corrupted } }) => ({
      point,
      places: effects(patched, { clean, corrupted }).sort(
        (a, b) => b.share - a.share || a.layer - b.layer || (a.head ?? 0) - (b.head ?? 0),
      ),
    })),
  };
}

const streams: readonly PointName[] = ['resid_pre', 'resid_mid', 'resid_post'];

/** Whether the stream itself is exchanged at every position from the first difference on: that is the clean run, and says nothing. */
export function isWholeStream(
  point: PointName,
  positions: readonly number[],
  { clean, corrupted }: Pick<PatchRequest, 'clean' | 'corrupted'>,
): boolean {
  const first = clean.findIndex((id, at) => id !== corrupted[at]);
  return streams.includes(point) && first >= 0 && clean.every((_, at) => at < first || positions.includes(at));
}

const effects = (places: readonly PatchedPlace[], { clean, corrupted }: Pick<PatchResult, 'clean' | 'corrupted'>): PatchEffect[] =>
  places.map((place) => ({ ...place, share: (place.difference - corrupted) / (clean - corrupted) }));

/** A place of a study. */
export interface PatchPlaceRef extends Pick<PatchedPlace, 'layer' | 'head'> {
  readonly point: PointName;
}

/**
 * Several places patched together, as a graph: one `set` a place and position, with what the clean prompt has there.
 * @param positions ascending, of the prompt
 * @throws eval/setting, what the engine throws
 */
export async function patchGraph(
  clean: readonly number[],
  positions: readonly number[],
  places: readonly PatchPlaceRef[],
  { engine, signal }: Pick<PatchRun, 'engine' | 'signal'>,
): Promise<BoundGraph> {
  if (places.length === 0 || positions.length === 0) throw new TillerError('eval/setting', { problem: 'there is no place to be patched' });
  const { arrays } = await engine.capture({
    sequences: [{ ids: clean }],
    points: [...new Set(places.map(({ point }) => point))].map((point) => ({
      point,
      layers: [...new Set(places.filter((place) => place.point === point).map(({ layer }) => layer))].sort((a, b) => a - b),
    })),
    at: { at: positions },
    ...(signal ? { signal } : {}),
  });
  const nodes: EditNode[] = [];
  const vectors: Record<string, Vector> = {};
  for (const { point, layer, head } of places) {
    const array = arrays.find((other) => other.point === point && other.layer === layer);
    const place = placesOfLayer(point, layer, engine.model).find((other) => other.head === (head ?? null));
    if (!array || !place)
      throw new TillerError('eval/setting', { problem: `the model has no place ${point}, layer ${layer}, head ${head ?? 'none'}` });
    const { start, width } = place;
    const data = new Float32Array(positions.length * width);
    positions.forEach((position, row) => {
      data.set(array.data.subarray(row * array.width + start, row * array.width + start + width), row * width);
      nodes.push({
        id: `${placeId(place)}@${position}`,
        edit: 'set',
        at: placeAt(place),
        tokens: { at: [position] },
        vector: [placeId(place), row],
      });
    });
    vectors[placeId(place)] = { shape: [positions.length, width], data };
  }
  return buildGraph({ name: 'patching', model: engine.model, nodes, vectors });
}
