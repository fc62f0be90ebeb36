import { scaleLinear, scaleSymlog, type ScaleContinuousNumeric } from 'd3';

/** The rectangle that a plot draws in, inside of its margins for axes. Pixels. */
export interface PlotBox {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export type PlotScale = ScaleContinuousNumeric<number, number>;

/** @param width pixels there are @param height pixels wanted, axes included */
export function plotBox(width: number, height: number): PlotBox {
  return { width: Math.max(200, width), height, left: 52, right: Math.max(200, width) - 14, top: 14, bottom: height - 42 };
}

/** Least and most of all finite values, widened so that marks at the edge are whole and a single value has room. */
export function extentOf(values: Iterable<number>, share = 0.06): [number, number] {
  let least = Infinity;
  let most = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (least > most) return [0, 1];
  const room = most > least ? (most - least) * share : Math.abs(most) * share || 0.5;
  return [least - room, most + room];
}

export const linearX = (box: PlotBox, domain: readonly [number, number]): PlotScale => scaleLinear(domain, [box.left, box.right]);
export const linearY = (box: PlotBox, domain: readonly [number, number]): PlotScale => scaleLinear(domain, [box.bottom, box.top]);

/**
 * From 0 on, straight up to `knee` and logarithmic beyond it: costs are small where they are worth paying and may be huge where the text
 * falls apart, and 0 has to be on the axis.
 */
export const costX = (box: PlotBox, most: number, knee: number): PlotScale => scaleSymlog([0, most], [box.left, box.right]).constant(knee);

/** Ticks of an axis that do not run into each other. */
export function axisTicks(scale: PlotScale, pixelsEach: number): number[] {
  const [start, end] = scale.range();
  const length = Math.abs(end - start);
  const wanted = Math.max(2, Math.floor(length / pixelsEach));
  const kept: number[] = [];
  for (const tick of scale.ticks(wanted)) {
    const last = kept.at(-1);
    if (last === undefined || Math.abs(scale(tick) - scale(last)) >= pixelsEach * 0.6) kept.push(tick);
  }
  return kept;
}
