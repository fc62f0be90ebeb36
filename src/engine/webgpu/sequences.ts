import { countsById } from '../../graph/counts.ts';
import type { Plan } from '../../graph/plan.ts';
import type { NormalSequence } from '../request.ts';
import { selects } from '../rows.ts';
import type { Core } from './core.ts';
import type { GraphRun, RowRef } from './graph-run.ts';
import { LAST_PROMPT_BIT, type CallRow } from './row-table.ts';

/** One lane of one sequence in a group that is computed together. */
export interface Member {
  /** Index in the request. */
  readonly sequence: number;
  readonly lane: number;
  /** Slot of the cache, and row of the strength and count tables. */
  readonly slot: number;
}

/** A call over whole sequences: rows of every member at positions [from, to), as far as its sequence goes. */
export interface SequenceCall {
  readonly members: readonly Member[];
  readonly rows: readonly CallRow[];
  readonly refs: readonly (RowRef & { readonly member: Member })[];
  readonly graph: GraphRun | null;
}

/** Most sequences computed side by side. */
const MAX_GROUP = 8;

/** Whether some lane waits for the last prompt token's reading before it can edit earlier positions. */
function wholePrompt(plan: Plan, lanes: readonly number[], sequence: NormalSequence): boolean {
  return plan.edits.some(
    (edit) =>
      edit.gate?.hold === 'last' &&
      lanes.some((lane) => plan.strengthOf(lane, edit.index) !== null) &&
      sequence.ids.some((_, p) => p < sequence.promptLength - 1 && selects(edit.tokens, sequence, p)),
  );
}

/**
 * Runs whole sequences through the model, several side by side, a few positions at a time; `work` gets each call once its
 * selections are written. Sequences never see each other: each has slots of its own. Counts of edits come back by sequence
 * of the request, for the last of `lanes`.
 * @param lanes lanes of the plan to run for every sequence
 * @param maxRows most rows of a call
 */
export async function runSequences(
  core: Core,
  plan: Plan,
  lanes: readonly number[],
  sequences: readonly NormalSequence[],
  maxRows: number,
  signal: AbortSignal | undefined,
  work: (call: SequenceCall) => Promise<void>,
  readCounts: (graph: GraphRun) => Promise<Uint32Array[]>,
  onProgress: ((done: number, total: number) => void) | undefined,
): Promise<{ readonly edits: Readonly<Record<string, number>>[]; readonly unmatched: readonly string[] }> {
  const counts: Uint32Array[] = sequences.map(() => new Uint32Array(plan.edits.length));
  const total = sequences.reduce((sum, sequence) => sum + sequence.ids.length, 0);
  let done = 0;
  const patching = plan.edits.some((edit) => edit.source);
  for (let first = 0; first < sequences.length;) {
    const alone = patching || wholePrompt(plan, lanes, sequences[first]);
    let size = 1;
    while (
      !alone &&
      size < MAX_GROUP &&
      first + size < sequences.length &&
      (size + 1) * lanes.length <= maxRows &&
      !wholePrompt(plan, lanes, sequences[first + size])
    ) {
      size += 1;
    }
    const indices = Array.from({ length: size }, (_, i) => first + i);
    const members: Member[] = indices.flatMap((sequence, i) => lanes.map((lane, l) => ({ sequence, lane, slot: i * lanes.length + l })));
    const longest = Math.max(...indices.map((index) => sequences[index].ids.length));
    const { cache } = core.model;
    cache.ensure(Math.max(2, members.length), longest);
    cache.forgetAll();
    const firstStep = wholePrompt(plan, lanes, sequences[first]) ? sequences[first].promptLength : 0;
    const maxPositions = Math.max(firstStep, maxRows);
    const graph = core.graphRun(plan, {
      lanes: members.map((member) => member.lane),
      slots: cache.slots,
      maxRows: Math.max(maxRows, firstStep * members.length),
      ringRows: 0,
      maxPositions,
    });
    for (let at = 0; at < longest;) {
      const active = members.filter((member) => sequences[member.sequence].ids.length > at);
      const step = at === 0 && firstStep > 0 ? firstStep : Math.max(1, Math.floor(maxRows / active.length));
      const rows: CallRow[] = [];
      const refs: (RowRef & { member: Member })[] = [];
      for (const member of active) {
        const sequence = sequences[member.sequence];
        for (let position = at; position < Math.min(at + step, sequence.ids.length); position += 1) {
          const last = position === sequence.promptLength - 1 ? LAST_PROMPT_BIT : 0;
          rows.push({ token: sequence.ids[position], slot: member.slot, position, flags: member.slot | last });
          refs.push({ sequence, position, lane: member.lane, member });
        }
      }
      graph?.select(refs, 0);
      await work({ members, rows, refs, graph });
      await core.settle(signal);
      at += step;
      done += rows.length / lanes.length;
      onProgress?.(Math.round(done), total);
    }
    if (graph) {
      const read = await readCounts(graph);
      for (const member of members) if (member.lane === lanes.at(-1)) counts[member.sequence].set(read[member.slot]);
    }
    first += size;
  }
  // Counted as if every sequence were a lane of its own with the edited lane's strengths.
  const edited = lanes.at(-1) ?? 0;
  const view: Plan = { ...plan, strengthOf: (_, edit) => plan.strengthOf(edited, edit) };
  return countsById(view, counts) as { edits: Readonly<Record<string, number>>[]; unmatched: readonly string[] };
}
