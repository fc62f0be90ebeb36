import { line } from 'd3';
import type { SweepPoint } from '../../fit/report.ts';
import { costX, extentOf, linearY, plotBox, type PlotBox, type PlotScale } from './plot-box.ts';

/** What it does (gain, upwards) against what it costs (KL, to the right). Pixels. */
export interface FrontierGeometry {
  readonly box: PlotBox;
  readonly x: PlotScale;
  readonly y: PlotScale;
  readonly marks: readonly FrontierMark[];
  /** SVG path through the frontier's points by growing cost. */
  readonly path: string;
  /** Where the budget ends. */
  readonly budget: number;
  /** Indices of the points by growing cost: the way of the keyboard. */
  readonly order: readonly number[];
}

export interface FrontierMark {
  readonly px: number;
  readonly py: number;
  /** Ends of the error bars. */
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

const short = (value: number): number => Math.round(value * 100) / 100;

/** @param frontier indices into `points` @param klBudget nats a token that a point may cost */
export function frontierGeometry(
  points: readonly SweepPoint[],
  frontier: readonly number[],
  klBudget: number,
  width: number,
  height: number,
): FrontierGeometry {
  const box = plotBox(width, height);
  const most = Math.max(
    klBudget * 1.25,
    ...points.flatMap(({ damage }) => [damage.kl.value, damage.kl.interval[1]]).filter(Number.isFinite),
  );
  const end = most > 0 ? most * 1.05 : 1;
  const x = costX(box, end, Math.max(klBudget, end / 1000));
  const y = linearY(box, extentOf([0, ...points.flatMap(({ gain }) => [gain.value, ...gain.interval])]));
  const cost = (value: number): number => short(x(Math.max(0, value)));
  const marks = points.map(({ damage, gain }) => ({
    px: cost(damage.kl.value),
    py: short(y(gain.value)),
    x: [cost(damage.kl.interval[0]), cost(damage.kl.interval[1])] as const,
    y: [short(y(gain.interval[0])), short(y(gain.interval[1]))] as const,
  }));
  const path = line<number>((i) => marks[i].px, (i) => marks[i].py)(frontier.filter((i) => i in marks)) ?? ''; // prettier-ignore
  const order = points.map((_, i) => i).sort((a, b) => points[a].damage.kl.value - points[b].damage.kl.value || a - b);
  return { box, x, y, marks, path, budget: cost(klBudget), order };
}
