import type { CompiledSelector, Plan } from '../graph/plan.ts';
import { seenByRunning } from './prefix-tree.ts';
import type { NormalSequence } from './request.ts';
import { selectedPositions } from './rows.ts';

/**
 * How often edits act, told by their selectors alone: for a sequence and a lane of the plan, rows by edit. Edits that depend on what runs
 * (gates, vectors taken from other lanes) are 0 here; the engine counts them. The two together are what a run of the whole
 * sequence by itself counts, wherever it was shared or left out.
 */
export class SelectedCounts {
  private readonly bySequence: Map<CompiledSelector, number>[];

  constructor(
    private readonly plan: Plan,
    private readonly sequences: readonly NormalSequence[],
  ) {
    this.bySequence = sequences.map(() => new Map<CompiledSelector, number>());
  }

  of(sequence: number, lane: number): Uint32Array {
    const counts = new Uint32Array(this.plan.edits.length);
    for (const edit of this.plan.edits) {
      if (seenByRunning(edit) || this.plan.strengthOf(lane, edit.index) === null) continue;
      const known = this.bySequence[sequence];
      let count = known.get(edit.tokens);
      if (count === undefined) known.set(edit.tokens, (count = selectedPositions(edit.tokens, this.sequences[sequence]).length));
      counts[edit.index] = count;
    }
    return counts;
  }
}
