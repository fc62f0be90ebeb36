/**
 * How a part of a capture lies in its blob: for each layer, for each block of columns (a head, or all columns), rows x block as
 * little-endian f32; at the end the SHA-256 of all that. So a layer, and a head of a layer, is one contiguous range.
 */
export interface PartLayout {
  readonly layers: readonly number[];
  /** Numbers a row and layer. */
  readonly width: number;
  /** Columns of a block: head_dim at points with heads, else the width. */
  readonly block: number;
}

export const HASH_BYTES = 32;

/** Bytes of a row over all layers. */
export const rowBytes = ({ layers, width }: PartLayout): number => 4 * layers.length * width;

export const partBytes = (layout: PartLayout, rows: number): number => rowBytes(layout) * rows + HASH_BYTES;

/** Byte range of blocks [first, end) of a layer, given by its index in `layers`. */
export function blockRange(layout: PartLayout, rows: number, layerIndex: number, first: number, end: number): [number, number] {
  const start = 4 * rows * layout.width * layerIndex;
  return [start + 4 * rows * layout.block * first, start + 4 * rows * layout.block * end];
}

/** Index of the first number of a row's block in a part. */
export const cellOf = (layout: PartLayout, rows: number, layerIndex: number, block: number, row: number): number =>
  rows * layout.width * layerIndex + (rows * block + row) * layout.block;
