import { scaleBand, type ScaleBand } from 'd3';

/** Where things are in a head map: layers from top to bottom, heads from left to right. Pixels. */
export interface HeadMapGeometry {
  readonly width: number;
  readonly height: number;
  readonly x: ScaleBand<number>;
  readonly y: ScaleBand<number>;
  /** Space for row and column labels. */
  readonly left: number;
  readonly top: number;
  /** Every n-th label is drawn, so that they do not run into each other. */
  readonly labelStep: { readonly x: number; readonly y: number };
}

const largest = 64;
const smallestHeight = 11;
const left = 38;
const top = 36;

/** @param width pixels there are; the map is never wider, and its cells never larger than a thumb */
export function headMapGeometry(layers: number, heads: number, width: number): HeadMapGeometry {
  const cellWidth = Math.min(largest, Math.max(6, (width - left) / heads));
  const cellHeight = Math.max(Math.min(cellWidth, smallestHeight), Math.min(cellWidth, 640 / layers));
  const innerWidth = cellWidth * heads;
  const innerHeight = cellHeight * layers;
  const indices = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  const gap = Math.min(cellWidth, cellHeight) > 20 ? 0.1 : 0.14;
  const band = (count: number, from: number, size: number): ScaleBand<number> =>
    scaleBand<number>(indices(count), [from, from + size])
      .paddingInner(gap)
      .paddingOuter(gap / 2);
  return {
    width: left + innerWidth,
    height: top + innerHeight,
    x: band(heads, left, innerWidth),
    y: band(layers, top, innerHeight),
    left,
    top,
    labelStep: { x: Math.ceil(18 / cellWidth), y: Math.ceil(14 / cellHeight) },
  };
}

/** The head under a point, clamped to the map, so that a drag may leave it. */
export function headAt(geometry: HeadMapGeometry, layers: number, heads: number, px: number, py: number): { layer: number; head: number } {
  const clamp = (value: number, count: number): number => Math.min(count - 1, Math.max(0, Math.floor(value)));
  return {
    layer: clamp((py - geometry.top) / geometry.y.step(), layers),
    head: clamp((px - geometry.left) / geometry.x.step(), heads),
  };
}
