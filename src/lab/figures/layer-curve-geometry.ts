import { line } from 'd3';
import type { PlaceScore } from '../../methods/method.ts';
import { extentOf, linearX, linearY, plotBox, type PlotBox, type PlotScale } from './plot-box.ts';

/** One value a layer, with its interval. Pixels. */
export interface LayerCurveGeometry {
  readonly box: PlotBox;
  readonly x: PlotScale;
  readonly y: PlotScale;
  readonly marks: readonly { readonly px: number; readonly py: number; readonly interval: readonly [number, number] | null }[];
  readonly path: string;
}

const short = (value: number): number => Math.round(value * 100) / 100;

/** @param places one a layer, by layer; accuracies where all have one, else scores */
export function layerCurveGeometry(places: readonly PlaceScore[], layers: number, width: number, height: number): LayerCurveGeometry {
  const box = plotBox(width, height);
  const classified = places.every(({ accuracy }) => accuracy !== undefined);
  const value = (place: PlaceScore): number => (classified ? (place.accuracy ?? 0) : place.score);
  const x = linearX(box, [-0.5, Math.max(0.5, layers - 0.5)]);
  const y = linearY(box, classified ? [0, 1] : extentOf([0, ...places.map(value)]));
  const marks = places.map((place) => ({
    px: short(x(place.layer)),
    py: short(y(value(place))),
    interval: classified && place.interval ? ([short(y(place.interval[0])), short(y(place.interval[1]))] as const) : null,
  }));
  const path = line<(typeof marks)[number]>((mark) => mark.px, (mark) => mark.py)(marks) ?? ''; // prettier-ignore
  return { box, x, y, marks, path };
}
