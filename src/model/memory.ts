import { tensorLayout } from './layout.ts';
import { elementBytes } from './row-tensors.ts';
import type { ModelSpec } from './spec.ts';
import type { Quantization, TensorDtype, TensorRequirement } from './weights.ts';

/**
 * Tables (embedding and head) that are larger than this in their stored form are kept in int8 when the projections are quantised:
 * int4 costs too much there, and small tables are kept as they are.
 */
export const LARGE_TABLE_BYTES = 32 * 2 ** 20;

/** Numbers in all tensors of a model; a tied head counts once. */
export function parameterCount(spec: ModelSpec): number {
  return tensorLayout(spec).reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
}

/** How a matrix is kept: projections as asked for; tables are quantised to int8, and only where they are large. */
export function keptAs({ role, shape }: TensorRequirement, stored: TensorDtype, quantization: Quantization): Quantization {
  if (quantization === 'none' || (role !== 'embed' && role !== 'head')) return quantization;
  return shape.reduce((product, length) => product * length, elementBytes[stored]) > LARGE_TABLE_BYTES ? 'q8' : 'none';
}
