/** Index of the first token where two texts differ; null while one is a beginning of the other (or they are equal). */
export function firstDifference(a: readonly number[], b: readonly number[]): number | null {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i += 1) if (a[i] !== b[i]) return i;
  return null;
}
