import { scaleBand, type ScaleBand } from 'd3';
import type { SweepPoint } from '../../fit/report.ts';

/** Strengths from left to right, numbers of places from bottom to top. Pixels. */
export interface SweepMapGeometry {
  readonly width: number;
  readonly height: number;
  readonly strengths: readonly number[];
  readonly counts: readonly number[];
  readonly x: ScaleBand<number>;
  readonly y: ScaleBand<number>;
  readonly left: number;
  readonly bottom: number;
}

const left = 58;
const foot = 40;

const sorted = (values: Iterable<number>): number[] => [...new Set(values)].sort((a, b) => a - b);

/** The unedited point (strength 0) belongs to every number of places and is no cell: gains are against it. */
export const sweepCells = (points: readonly SweepPoint[]): SweepPoint[] => points.filter(({ strength }) => strength !== 0);

/** @param width pixels there are */
export function sweepMapGeometry(points: readonly SweepPoint[], width: number): SweepMapGeometry {
  const cells = sweepCells(points);
  const strengths = sorted(cells.map(({ strength }) => strength));
  const counts = sorted(cells.map(({ count }) => count));
  const cell = Math.min(88, Math.max(36, (width - left) / Math.max(1, strengths.length)));
  const tall = Math.min(52, Math.max(36, cell * 0.7));
  const bottom = 4 + tall * counts.length;
  return {
    width: left + cell * strengths.length,
    height: bottom + foot,
    strengths,
    counts,
    x: scaleBand(strengths, [left, left + cell * strengths.length]).padding(0.05),
    y: scaleBand(counts, [bottom, 4]).padding(0.06),
    left,
    bottom,
  };
}

/** The largest gain or loss: what full colour means. */
export const gainReach = (points: readonly SweepPoint[]): number =>
  points.reduce((most, { gain }) => (Number.isFinite(gain.value) ? Math.max(most, Math.abs(gain.value)) : most), 0);
