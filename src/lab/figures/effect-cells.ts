import { interpolateRgb, rgb } from 'd3';
import type { PatchEffect } from '../../evals/patch-study.ts';
import type { FigureColours } from '../colours.ts';
import { formatNumber } from '../format-number.ts';
import { placeName } from '../place-text.ts';

/** One cell of a map of effects. */
export interface EffectCell {
  readonly effect: PatchEffect;
  /** 1 is the largest share. */
  readonly rank: number;
  /** For people: where, and what came back. */
  readonly text: string;
}

/**
 * Cells by row number: layer * columns + column.
 * @param column of a place
 */
export function effectCells(
  places: readonly PatchEffect[],
  columns: number,
  column: (place: PatchEffect) => number,
  name = (place: PatchEffect): string => placeName(place),
): Map<number, EffectCell> {
  return new Map(
    places.map((effect, index) => [
      effect.layer * columns + column(effect),
      { effect, rank: index + 1, text: `${name(effect)}: ${describeShare(effect)}, rank ${index + 1} of ${places.length}` },
    ]),
  );
}

export const describeShare = ({ share, difference }: PatchEffect): string =>
  `${formatNumber(share)} of the difference comes back (${formatNumber(difference)} nats)`;

/** The share that has full colour: the largest there is, and never more than 1, beyond which all looks alike. */
export function effectReach(places: readonly PatchEffect[]): number {
  const most = Math.max(0, ...places.map(({ share }) => Math.abs(share)).filter(Number.isFinite));
  return Math.min(1, Math.max(0.05, most));
}

/** Grey at 0, full blue at `reach` and beyond, full red at its negative. */
export function effectColour(colours: FigureColours, share: number, reach: number): string {
  const size = Math.min(1, Math.abs(share) / reach);
  if (!Number.isFinite(size)) return colours.untouched;
  return interpolateRgb(colours.untouched, share > 0 ? colours.towards : colours.away)(size);
}

/** Relative luminance of WCAG 2, 0 to 1. */
function luminance(colour: string): number {
  const { r, g, b } = rgb(colour);
  const [x, y, z] = [r, g, b].map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}

/** Of the figure's ink and ground the one that is read better on a colour. */
export function inkOn({ ink, ground }: FigureColours, colour: string): string {
  const contrast = (text: string): number => {
    const [low, high] = [luminance(text), luminance(colour)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  return contrast(ink) >= contrast(ground) ? ink : ground;
}
