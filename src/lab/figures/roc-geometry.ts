import { line } from 'd3';
import type { PlaceView } from '../../fit/report.ts';
import { linearX, linearY, plotBox, type PlotBox, type PlotScale } from './plot-box.ts';

export interface RocGeometry {
  readonly box: PlotBox;
  readonly x: PlotScale;
  readonly y: PlotScale;
  /** SVG paths: the curve, and the area under it. */
  readonly curve: string;
  readonly area: string;
  readonly chance: string;
}

const short = (value: number): number => Math.round(value * 100) / 100;

export function rocGeometry(roc: PlaceView['roc'], width: number, height: number): RocGeometry {
  const box = plotBox(width, height);
  const x = linearX(box, [0, 1]);
  const y = linearY(box, [0, 1]);
  const path = line<PlaceView['roc'][number]>((point) => short(x(point.falsePositive)), (point) => short(y(point.truePositive))); // prettier-ignore
  const curve = path(roc) ?? '';
  return {
    box,
    x,
    y,
    curve,
    area: curve === '' ? '' : `${curve}L${short(x(1))} ${short(y(0))}L${short(x(0))} ${short(y(0))}Z`,
    chance: `M${short(x(0))} ${short(y(0))}L${short(x(1))} ${short(y(1))}`,
  };
}
