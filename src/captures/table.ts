import type { PointName } from '../graph/points.ts';

/**
 * Captured activations of one point: rows are readings, blocks are layers. It lies on disk or in the browser's storage and is read a
 * layer at a time, so that 5,000 rows of all heads of a 1B model (655 MB) are never in memory at once.
 */
export interface CaptureTable {
  readonly point: PointName;
  readonly layers: readonly number[];
  /** Numbers a row and layer: heads x head_dim for `z`, hidden for `resid_post`, ... */
  readonly width: number;
  readonly rows: number;
  /** Hex SHA-256 that names it: model, quantisation, token ids and positions, point, layers. */
  readonly key: string;
  /**
   * rows x width of one layer, in the order of the readings; f32.
   * @param columns [start, end) of the width, e.g. one head. @default all
   */
  layer(layer: number, columns?: readonly [number, number], signal?: AbortSignal): Promise<Float32Array>;
}
