import type { PlaceView } from '../../fit/report.ts';
import { extentOf, linearX, linearY, plotBox, type PlotBox, type PlotScale } from './plot-box.ts';

export type ScatterPoint = PlaceView['points'][number];

export interface ScatterGeometry {
  readonly box: PlotBox;
  readonly x: PlotScale;
  readonly y: PlotScale;
  /** Pixels of every point, in the order given. */
  readonly marks: readonly { readonly px: number; readonly py: number }[];
  /** Indices of the points from left to right: the way of the keyboard. */
  readonly order: readonly number[];
}

/** One unit is as long on both axes where there is room for it, so that distances are those of the activations. */
export function scatterGeometry(points: readonly ScatterPoint[], width: number, height: number): ScatterGeometry {
  const box = plotBox(width, height);
  const spans = [extentOf(points.map((point) => point.x)), extentOf(points.map((point) => point.y))];
  // So near to each other that they are one point to the screen and no scale to a computer.
  const least = 1e-12;
  const perPixel = Math.max(
    least,
    (spans[0][1] - spans[0][0]) / (box.right - box.left),
    (spans[1][1] - spans[1][0]) / (box.bottom - box.top),
  );
  const around = ([least, most]: readonly [number, number], pixels: number): [number, number] => {
    const half = (perPixel * pixels) / 2;
    const middle = (least + most) / 2;
    return [middle - half, middle + half];
  };
  const x = linearX(box, around(spans[0], box.right - box.left));
  const y = linearY(box, around(spans[1], box.bottom - box.top));
  const marks = points.map((point) => ({ px: x(point.x), py: y(point.y) }));
  const order = points.map((_, i) => i).sort((a, b) => points[a].x - points[b].x || a - b);
  return { box, x, y, marks, order };
}
