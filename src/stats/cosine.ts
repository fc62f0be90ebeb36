import { TillerError } from '../errors/error.ts';

/** Cosine of the angle between two vectors; 0 where one of them is zero. @throws stats/argument for unequal lengths */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length)
    throw new TillerError('stats/argument', { problem: `vectors of ${a.length} and ${b.length} numbers have no angle` });
  let [aa, bb, ab] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    aa += a[i] * a[i];
    bb += b[i] * b[i];
    ab += a[i] * b[i];
  }
  const size = Math.sqrt(aa) * Math.sqrt(bb);
  return size > 0 ? Math.max(-1, Math.min(1, ab / size)) : 0;
}
