import type { Plan } from '../../graph/plan.ts';
import { SelectedCounts } from '../edit-counts.ts';
import { planCalls, slotsNeeded } from '../prefix-calls.ts';
import { pathOf, seenByRunning, type PrefixRun, type PrefixTree } from '../prefix-tree.ts';
import type { NormalSequence } from '../request.ts';
import { EditTap, MAX_ROWS, type Core } from './core.ts';
import type { ForwardCall, PointTap, Segment } from './forward.ts';
import { editedRow, Interventions, startRun, type EditedRow, type EditedRun } from './interventions.ts';

/** A row of a call in the words of the tree. */
export interface TreeRow {
  readonly node: number;
  readonly position: number;
}

export interface WalkOptions {
  readonly plan: Plan;
  readonly sequences: readonly NormalSequence[];
  readonly tree: PrefixTree;
  readonly until?: ForwardCall['until'];
  readonly signal: AbortSignal | undefined;
  /** Whether logits are wanted there. */
  readonly looks: (row: TreeRow) => boolean;
  /** Logits of some rows, [rows, vocab]; the array is used again afterwards. */
  readonly onLogits?: (rows: readonly TreeRow[], logits: Float32Array) => Promise<void>;
  /** Who else looks at the call's rows; null for rows of helpers. */
  readonly tap?: (rows: readonly (TreeRow | null)[]) => PointTap | null;
  readonly onRows: (count: number) => void;
}

/** Computes a tree of sequences and gives, by run of the tree, how often each edit was applied. */
export async function walkTree(core: Core, options: WalkOptions): Promise<Float64Array[]> {
  const { plan, sequences, tree } = options;
  const { cache } = core;
  const capacity = tree.nodes.reduce((most, node) => Math.max(most, node.to), 1);
  const least = Math.max(1, slotsNeeded(tree));
  const slots = Math.max(least, Math.min(core.slotsFor(capacity), tree.nodes.length));
  cache.ensure(slots, capacity);
  cache.forgetAll();
  const shared = new Interventions(plan, false);
  let alone = null as { node: number; interventions: Interventions } | null;
  const runs = new Map<string, EditedRun>();
  const runOf = (node: number, lane: number): EditedRun => {
    const key = `${node}/${lane}`;
    let run = runs.get(key);
    if (!run) runs.set(key, (run = startRun(plan, lane, sequences[tree.nodes[node].sequence])));
    return run;
  };

  for (const call of planCalls(tree, { slots, rows: MAX_ROWS })) {
    for (const { from, to, positions } of call.copies) cache.copy(from, to, positions);
    if (call.lone >= 0 && alone?.node !== call.lone) alone = { node: call.lone, interventions: new Interventions(plan, true) };
    const segments: Segment[] = [];
    const edited: (EditedRow | null)[] = [];
    const rows: (TreeRow | null)[] = [];
    const looked: number[] = [];
    for (const { node, lane, slot, from, to } of call.parts) {
      const { ids, from: start, acts, lane: own } = tree.nodes[node];
      segments.push({ slot, from, ids: ids.slice(from - start, to - start) });
      for (let position = from; position < to; position++) {
        const row = lane === own ? { node, position } : null;
        if (row && options.looks(row)) looked.push(rows.length);
        rows.push(row);
        edited.push(acts ? editedRow(plan, runOf(node, lane), position) : null);
      }
    }
    const taps: PointTap[] = [];
    const interventions = call.lone >= 0 ? alone?.interventions : shared;
    if (interventions && edited.some(Boolean)) taps.push(new EditTap(interventions, edited));
    const other = options.tap?.(rows);
    if (other) taps.push(other);
    await core.forward({
      segments,
      taps,
      looked,
      until: options.until,
      signal: options.signal,
      onLogits: async (logits, first, count) => {
        await options.onLogits?.(
          looked.slice(first, first + count).flatMap((row) => rows[row] ?? []),
          logits,
        );
      },
    });
    options.onRows(rows.length);
  }
  const selected = new SelectedCounts(plan, sequences);
  return tree.runs.map((run) => countsOf(plan, selected, tree, run, runs));
}

/** Edits whose selector decides are counted by it; the others were counted as they ran, node by node. */
function countsOf(
  plan: Plan,
  selected: SelectedCounts,
  tree: PrefixTree,
  run: PrefixRun,
  runs: ReadonlyMap<string, EditedRun>,
): Float64Array {
  const counts = Float64Array.from(selected.of(run.sequence, run.lane));
  for (const node of pathOf(tree, run)) {
    const ran = runs.get(`${node}/${tree.nodes[node].lane}`);
    for (const edit of plan.edits) if (ran && seenByRunning(edit)) counts[edit.index] += ran.counts[edit.index];
  }
  return counts;
}

/** By node, the runs that pass through it. */
export function passing(tree: PrefixTree): PrefixRun[][] {
  const by: PrefixRun[][] = tree.nodes.map(() => []);
  for (const run of tree.runs) for (const node of pathOf(tree, run)) by[node].push(run);
  return by;
}

/** Positions that a walk computes, those of helpers included. */
export function positionsOf(tree: PrefixTree): number {
  return tree.nodes.reduce((sum, { from, to, lone }) => sum + (to - from) * ((lone?.helpers.length ?? 0) + 1), 0);
}
