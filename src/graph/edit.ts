import type { PlannedEdit, PlannedRead } from './plan.ts';

/**
 * Edits and reads in plain loops: what every engine must agree with. Accumulators are f64; a row is rounded to f32 once, when stored.
 * Sums run over the slice's columns from first to last.
 */

function dot(x: ArrayLike<number>, v: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * v[i];
  return sum;
}

/**
 * Applies one edit in place.
 * @param x the slice of one activation row that the edit means, `edit.width` floats; pass a subarray
 * @param strength effective strength in this lane (Plan.strengthOf; where that is null, do not call)
 * @param vector `edit.vector`, or the source lane's activation for an edit with a source
 */
export function applyEdit(edit: Pick<PlannedEdit, 'edit' | 'mask'>, x: Float32Array, strength: number, vector: Float32Array | null): void {
  switch (edit.edit) {
    case 'add':
      if (vector) for (let i = 0; i < x.length; i++) x[i] = x[i] + strength * vector[i];
      return;
    case 'scale':
      for (let i = 0; i < x.length; i++) x[i] = x[i] * (1 + strength * (edit.mask ? edit.mask[i] : 1));
      return;
    case 'ablate':
      if (vector) along(x, vector, (p) => -strength * p);
      return;
    case 'clamp':
      if (vector) along(x, vector, (p) => strength - p);
      return;
    case 'cap':
      if (vector) along(x, vector, (p) => (p > strength ? strength - p : null));
      return;
    case 'set':
      // At strength 1 the old value has no part in the result, not even as 0 * Infinity.
      for (let i = 0; i < x.length; i++) {
        const target = vector ? vector[i] : 0;
        x[i] = strength === 1 ? target : (1 - strength) * x[i] + strength * target;
      }
      return;
  }
}

/** x + c(x.u)u, or x untouched where c gives null. */
function along(x: Float32Array, u: Float32Array, coefficient: (projection: number) => number | null): void {
  const c = coefficient(dot(x, u));
  if (c === null) return;
  for (let i = 0; i < x.length; i++) x[i] = x[i] + c * u[i];
}

/** The number a read gives for one row slice. cosine is 0 where either length is 0. */
export function applyRead(read: Pick<PlannedRead, 'read' | 'vector'>, x: Float32Array): number {
  if (read.read === 'norm') return Math.sqrt(dot(x, x));
  const v = read.vector;
  if (!v) throw new Error(`a ${read.read} read without a vector`);
  if (read.read === 'dot') return dot(x, v);
  const lengths = Math.sqrt(dot(x, x)) * Math.sqrt(dot(v, v));
  return lengths === 0 ? 0 : dot(x, v) / lengths;
}
