import { pointRow, pointWidth, type ModelShape, type PointName } from '../graph/points.ts';
import type { At } from '../graph/document.ts';

/** A candidate: a whole layer at a point, or one head of it. Columns [start, start + width) of the point's row. */
export interface Place {
  readonly point: PointName;
  readonly layer: number;
  readonly head: number | null;
  readonly start: number;
  readonly width: number;
}

/** Places of one layer, heads apart where the point has them. */
export function placesOfLayer(point: PointName, layer: number, shape: ModelShape): Place[] {
  const { heads: kind } = pointRow(point);
  if (kind === null) return [{ point, layer, head: null, start: 0, width: pointWidth(point, shape, 0) }];
  const heads = kind === 'kv' ? shape.kvHeads : shape.heads;
  return Array.from({ length: heads }, (_, head) => ({ point, layer, head, start: head * shape.headDim, width: shape.headDim }));
}

/** `h11.7` for head 7 of layer 11 at `z`, `resid_post.11` and `k.11.7` elsewhere. Unique within a point. */
export function placeId({ point, layer, head }: Pick<Place, 'point' | 'layer' | 'head'>): string {
  if (head === null) return `${point}.${layer}`;
  return point === 'z' ? `h${layer}.${head}` : `${point}.${layer}.${head}`;
}

export const placeAt = ({ point, layer, head }: Pick<Place, 'point' | 'layer' | 'head'>): At =>
  head === null ? { point, layer } : { point, layer, head };

export const allLayers = (shape: ModelShape): number[] => Array.from({ length: shape.layers }, (_, layer) => layer);

/**
 * Best first. Equal scores are put in an order drawn from `random`, one number a candidate in the order given, so that
 * neither the order of candidates nor the sort decides.
 */
export function ranked<T extends { readonly score: number }>(candidates: readonly T[], random: () => number): T[] {
  return candidates
    .map((candidate) => ({ candidate, tie: random() }))
    .sort((a, b) => b.candidate.score - a.candidate.score || a.tie - b.tie)
    .map(({ candidate }) => candidate);
}

/** A published count scaled to a model of another size: `count` of `among` places, at least 1 and at most all of `places`. */
export function scaledCount(count: number, among: number, places: number): number {
  return Math.min(places, Math.max(1, Math.round((count / among) * places)));
}
