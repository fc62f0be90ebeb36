import type { PlaceScore } from '../../methods/method.ts';

/** What a head map of a fit draws at one head. */
export interface PlaceCell {
  readonly place: PlaceScore;
  /** 1 is the best. */
  readonly rank: number;
  /** Whether the method uses it. */
  readonly chosen: boolean;
  /** 0 (as good as chance, or the worst score) to 1. */
  readonly share: number;
  /** Whether chance lies inside of the interval: such a head may know nothing. */
  readonly doubtful: boolean;
}

/**
 * Heads of a report by row number (layer * heads + head). Where the method classified, colour is the accuracy between chance and 1;
 * elsewhere the score between the worst and the best one.
 * @param chance share of the larger class
 */
export function placeCells(places: readonly PlaceScore[], heads: number, chosen: number, chance: number): Map<number, PlaceCell> {
  const scores = places.map(({ score }) => score).filter(Number.isFinite);
  const least = Math.min(0, ...scores);
  const most = Math.max(...scores, least);
  const cells = new Map<number, PlaceCell>();
  places.forEach((place, index) => {
    if (place.head === undefined) return;
    const { accuracy, interval, score } = place;
    const raw = accuracy !== undefined ? (accuracy - chance) / Math.max(1e-9, 1 - chance) : (score - least) / (most - least || 1);
    cells.set(place.layer * heads + place.head, {
      place,
      rank: index + 1,
      chosen: index < chosen,
      share: Math.min(1, Math.max(0, Number.isFinite(raw) ? raw : 0)),
      doubtful: interval !== undefined && interval[0] <= chance,
    });
  });
  return cells;
}

/** The best place of every layer, by layer: what there is to draw where places are not heads. */
export function bestByLayer(places: readonly PlaceScore[]): PlaceScore[] {
  const best = new Map<number, PlaceScore>();
  for (const place of places) {
    const before = best.get(place.layer);
    if (!before || (place.accuracy ?? place.score) > (before.accuracy ?? before.score)) best.set(place.layer, place);
  }
  return [...best.values()].sort((a, b) => a.layer - b.layer);
}
