import type { Plan } from '../graph/plan.ts';
import { PrefixTreeBuilder, type PrefixTree } from './prefix-tree.ts';
import type { NormalScore } from './request.ts';

/** How much one tree may hold. Each is passed only by what can not be divided: one sequence under one lane and unedited. */
export interface BlockLimits {
  /** Rows that are looked at. */
  readonly rows: number;
  /** Positions that are computed. */
  readonly positions: number;
}

/**
 * A scoring request as trees to be scored one after another: some sequences each with all their lanes, in order, or a part of the lanes of
 * one sequence. Every tree holds the unedited run of each of its sequences, which comes first of the sequence's runs.
 */
export function* scoreBlocks(plan: Plan, normal: NormalScore, limits: BlockLimits): Generator<PrefixTree, void, void> {
  const { sequences, lanes, looked } = normal;
  let block = new Block(plan, normal);
  for (const [s, { ids }] of sequences.entries()) {
    const rows = Math.max(0, looked[s].end - looked[s].first);
    const fits = (count: number): boolean =>
      block.rows + count * rows <= limits.rows && block.builder.positions + count * ids.length <= limits.positions;
    // What the lanes share is not known yet: a sequence begins a new block where it might not fit, and is divided where it does not.
    if (block.runs > 0 && !fits(lanes.length)) {
      yield block.builder.build();
      block = new Block(plan, normal);
    }
    for (let lane = 0; lane < lanes.length; lane += 1) {
      if (lane > 1 && !fits(1)) {
        yield block.builder.build();
        block = new Block(plan, normal);
        block.add(s, 0);
      }
      block.add(s, lane);
    }
  }
  if (block.runs > 0) yield block.builder.build();
}

class Block {
  readonly builder: PrefixTreeBuilder;
  /** At most so many rows are looked at. */
  rows = 0;
  runs = 0;

  constructor(
    plan: Plan,
    private readonly normal: NormalScore,
  ) {
    this.builder = new PrefixTreeBuilder(plan, normal.sequences);
  }

  add(sequence: number, lane: number): void {
    const { first, end } = this.normal.looked[sequence];
    const before = this.builder.positions;
    this.builder.add(sequence, lane, end > first ? end : 0);
    // Where all of a sequence is looked at, what it shares is looked at already.
    this.rows += Math.min(Math.max(0, end - first), first === 0 ? this.builder.positions - before : Infinity);
    this.runs += 1;
  }
}
