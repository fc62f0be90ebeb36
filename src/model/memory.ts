import { tensorLayout } from './layout.ts';
import type { ModelSpec } from './spec.ts';

/**
 * Tables (embedding and head) that are larger than this in their stored form are kept in int8 when the projections are quantised:
 * int4 costs too much there, and small tables are kept as they are.
 */
export const LARGE_TABLE_BYTES = 32 * 2 ** 20;

/** Numbers in all tensors of a model; a tied head counts once. */
export function parameterCount(spec: ModelSpec): number {
  return tensorLayout(spec).reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
}
