import type { Plan } from './plan.ts';

export interface EditCounts {
  /** By lane, rows edited by node id; 0 where an edit did not act. */
  readonly edits: readonly Readonly<Record<string, number>>[];
  /** Ids of edits that acted nowhere although some lane had them on: to be said, never silent. */
  readonly unmatched: readonly string[];
}

/**
 * Counts as an engine keeps them, as results report them.
 * @param counts by lane, rows edited by PlannedEdit.index
 */
export function countsById(plan: Plan, counts: readonly ArrayLike<number>[]): EditCounts {
  const edits = counts.map((lane) => Object.fromEntries(plan.edits.map((edit) => [edit.id, lane[edit.index] ?? 0])));
  const unmatched = plan.edits
    .filter(({ index }) => {
      const on = counts.some((_, lane) => plan.strengthOf(lane, index) !== null);
      return on && counts.every((lane) => (lane[index] ?? 0) === 0);
    })
    .map((edit) => edit.id);
  return { edits, unmatched };
}
