import type { EditName, GraphNode, Lane } from './document.ts';
import { f32Max } from './limits.ts';
import type { Plan, PlannedEdit } from './plan.ts';
import type { Refusal } from './refusal.ts';

/** Edits that leave the row as it is at strength 0. `clamp` and `cap` at 0 are edits like any other. */
const idleAtZero: ReadonlySet<EditName> = new Set(['add', 'scale', 'ablate', 'set']);

const refusal = (node: string, reason: string, remedy: string): Refusal => ({ code: 'graph/refused', node, reason, remedy });
const laneName = (lane: Lane, index: number): string => (lane.name === undefined ? `lane ${index}` : `lane "${lane.name}"`);

/** The factor of a lane on one node: its own, else that of `*`, else 0. */
function laneFactor(lane: Lane, id: string): number {
  const strengths = lane.strengths ?? {};
  if (Object.hasOwn(strengths, id)) return strengths[id];
  return Object.hasOwn(strengths, '*') ? strengths['*'] : 0;
}

/**
 * Effective strengths by lane and edit: factor times strength. Refuses factors that are no f32 numbers, and factors for ids that are no
 * edit of the graph, which would otherwise do nothing in silence.
 */
export function laneStrengths(
  nodes: readonly GraphNode[],
  edits: readonly PlannedEdit[],
  lanes: readonly Lane[],
): { strengthOf: Plan['strengthOf']; refusals: Refusal[] } {
  const refusals: Refusal[] = [];
  const kinds = new Map(nodes.map((node) => [node.id, 'edit' in node ? 'edit' : 'read']));
  lanes.forEach((lane, index) => {
    for (const [id, factor] of Object.entries(lane.strengths ?? {})) {
      if (!(Math.abs(factor) <= f32Max))
        refusals.push(refusal(id === '*' ? '' : id, `${laneName(lane, index)} gives the factor ${factor}`, 'Give a finite number.'));
      if (id === '*' || kinds.get(id) === 'edit') continue;
      const what = kinds.has(id) ? `the read "${id}", which has no strength` : `"${id}", which the graph lacks`;
      refusals.push(
        refusal(
          kinds.has(id) ? id : '',
          `${laneName(lane, index)} gives a factor for ${what}`,
          'Name edits of the graph, or * for the rest.',
        ),
      );
    }
  });
  const table = lanes.map((lane) =>
    edits.map((edit) => {
      const factor = laneFactor(lane, edit.id);
      const strength = factor * edit.strength;
      const idle = factor === 0 || (Math.fround(strength) === 0 && idleAtZero.has(edit.edit));
      return idle ? null : strength;
    }),
  );
  table.forEach((row, index) => {
    row.forEach((strength, i) => {
      if (strength === null || Math.abs(strength) <= f32Max || Number.isNaN(strength)) return;
      const reason = `its strength in ${laneName(lanes[index], index)} is ${strength}, more than f32 holds`;
      refusals.push(refusal(edits[i].id, reason, 'Lower the strength or the factor.'));
    });
  });
  return { strengthOf: (lane, edit) => table[lane]?.[edit] ?? null, refusals };
}
