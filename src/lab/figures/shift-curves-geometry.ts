import { line } from 'd3';
import { extentOf, linearX, linearY, plotBox, type PlotBox, type PlotScale } from './plot-box.ts';

/** How far every token's distribution moved, for several runs over one another. Pixels. */
export interface ShiftCurves {
  readonly box: PlotBox;
  readonly x: PlotScale;
  readonly y: PlotScale;
  /** SVG paths, by run. */
  readonly paths: readonly string[];
}

/** @param runs KL by token, nats; of each run its own number of tokens */
export function shiftCurves(runs: readonly (readonly number[])[], width: number, height: number): ShiftCurves {
  const box = plotBox(width, height);
  const most = Math.max(1, ...runs.map((run) => run.length - 1));
  const x = linearX(box, [0, most]);
  const y = linearY(box, [0, extentOf([0, ...runs.flat()])[1]]);
  const short = (value: number): number => Math.round(value * 100) / 100;
  const path = line<number>((_, i) => short(x(i)), (kl) => short(y(Math.max(0, kl)))); // prettier-ignore
  return { box, x, y, paths: runs.map((run) => path(run.map((kl) => (Number.isFinite(kl) ? kl : 0))) ?? '') };
}
