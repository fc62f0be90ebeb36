import type { Fitted } from './method.ts';

/**
 * Strengths of a lane that steers the first `count` places of a fit with `strength` times the method's own dose. Strength 0 is the
 * unedited model: nothing acts, fixed edits neither.
 * @param count at most ranking.length. @default fitted.chosen
 */
export function laneStrengths(
  fitted: Pick<Fitted, 'ranking' | 'chosen' | 'fixed'>,
  strength: number,
  count: number = fitted.chosen,
): Readonly<Record<string, number>> {
  if (strength === 0) return {};
  const strengths: Record<string, number> = {};
  for (const ids of fitted.ranking.slice(0, count)) for (const id of ids) strengths[id] = strength;
  for (const id of fitted.fixed ?? []) strengths[id] = 1;
  return strengths;
}
