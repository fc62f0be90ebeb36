import type { Plan, PlannedEdit } from '../graph/plan.ts';
import type { NormalSequence } from './request.ts';
import { selects } from './rows.ts';

/**
 * What several sequences under several conditions have in common, so that it is computed once. A run is one sequence under one lane of a
 * plan. Two runs share a position when everything that its activations depend on is the same: the tokens up to it, and at each of these
 * positions the edits that act there with their strengths. Which edits act depends on prompt length and roles, so these may differ where
 * it makes no difference. Readings alone separate nothing. What an edit does when its gate reads the position it acts at follows from
 * the position, so such edits are edits like others; three kinds of run share less:
 *
 * - a lane with a gate that holds the last prompt token's reading (`hold: "last"`) has its rows to itself from that token on;
 * - where such a gate lets edits act at earlier positions, the whole prompt has to pass in one go, and nothing is shared;
 * - a lane that takes vectors from other lanes (patching) runs beside these lanes, and nothing is shared.
 */
export interface PrefixTree {
  /** Depth first: a parent comes before its children, and a subtree is nodes [n, nodes[n].below). */
  readonly nodes: readonly PrefixNode[];
  readonly runs: readonly PrefixRun[];
  /** Cache slots that a walk in this order needs at least, where a parent's last child goes on in the parent's slot. Lone nodes apart. */
  readonly slots: number;
}

/** Positions that are computed once for all runs that pass. */
export interface PrefixNode {
  /** The node that holds the positions before `from`; -1 where `from` is 0. */
  readonly parent: number;
  readonly from: number;
  readonly to: number;
  /** Tokens at positions from, from + 1, ..., to - 1. */
  readonly ids: readonly number[];
  /** A run that passes here. Its prompt length, roles and lane say what the edits of all of them do at these positions. */
  readonly sequence: number;
  readonly lane: number;
  /** Whether some edit acts at one of these positions. Where none does, the graph can be left out. */
  readonly acts: boolean;
  /** Index one past the last node of the subtree. */
  readonly below: number;
  /** Set where the run can not share: it starts at position 0 and ends here. */
  readonly lone: LoneRun | null;
}

export interface LoneRun {
  /** Lanes that this one takes vectors from, which have to run along in the same calls, ascending. */
  readonly helpers: readonly number[];
  /** Leading positions that have to pass layer by layer in one forward call, because edits at them wait for the last one's reading. */
  readonly together: number;
}

export interface PrefixRun {
  readonly sequence: number;
  readonly lane: number;
  /** Positions that are computed. At least those asked for; more where an edit acts whose gate has to be seen for it to be counted. */
  readonly end: number;
  /** The node with the last of them; -1 where there are none. */
  readonly node: number;
}

/** Nodes that a run passes, from the first position on. */
export function pathOf(tree: PrefixTree, run: PrefixRun): number[] {
  const path: number[] = [];
  for (let node = run.node; node >= 0; node = tree.nodes[node].parent) path.push(node);
  return path.reverse();
}

/** Whether only the run itself can tell where an edit acted. Other edits act wherever their selector says. */
export const seenByRunning = (edit: PlannedEdit): boolean => edit.gate !== null || edit.source !== null;

/** Tokens below this, so that a token and what acts on it make one number. */
const TOKENS = 2 ** 22;

interface Growing {
  from: number;
  to: number;
  readonly sequence: number;
  readonly lane: number;
  /** The run's actions from here on, for what is not the lane's own; see Builder.action. */
  readonly own: Own | null;
  readonly lone: LoneRun | null;
  children: Map<number, Growing>;
  /** Runs that end here. */
  ended: number[];
}

/** From `from` on, a run has an action of its own at every position. */
interface Own {
  readonly from: number;
  readonly action: number;
}

/** A test of a position that edits share: its selector, and that of the reading that gates it at the same position. */
interface Condition {
  readonly edits: readonly PlannedEdit[];
  readonly test: (sequence: NormalSequence, position: number) => boolean;
}

/** Builds a tree run by run, so that the caller can stop when it is large enough. */
export class PrefixTreeBuilder {
  /** Positions to compute so far, those of helpers included. */
  positions = 0;
  private readonly plan: Plan;
  private readonly sequences: readonly NormalSequence[];
  private readonly root: Growing = { from: 0, to: 0, sequence: -1, lane: -1, own: null, lone: null, children: new Map(), ended: [] };
  private readonly lone: Growing[] = [];
  private readonly runs: { sequence: number; lane: number; end: number }[] = [];
  private readonly conditions: readonly Condition[];
  private readonly held: readonly PlannedEdit[];
  /** By sequence, which conditions are met at each position, as an index into `sets`. */
  private readonly met = new Map<number, Int32Array>();
  private readonly sets: (readonly number[])[] = [];
  private readonly setIndex = new Map<string, number>();
  /** By lane and set of conditions, what acts: 0 is nothing. */
  private readonly actions: number[][] = [];
  private readonly actionIndex = new Map<string, number>([['', 0]]);
  private nextAction = 1;

  constructor(plan: Plan, sequences: readonly NormalSequence[]) {
    this.plan = plan;
    this.sequences = sequences;
    this.held = plan.edits.filter((edit) => edit.gate?.hold === 'last');
    this.conditions = conditionsOf(plan);
  }

  /**
   * Adds a sequence under a lane of the plan.
   * @param needed positions [0, needed) have to be computed; edits whose gates have to be seen add to it
   */
  add(sequence: number, lane: number, needed: number): void {
    const row = this.sequences[sequence];
    const held = this.heldPositions(sequence, lane);
    const helpers = this.helpersOf(lane);
    let end = Math.max(needed, held.end, this.gatedEnd(sequence, lane, needed));
    // A source gives its vector at positions of its own; where edits with sources act is known only by going through all of them.
    if (helpers.length > 0) end = row.ids.length;
    const index = this.runs.length;
    if (end > 0 && (helpers.length > 0 || held.early)) {
      const together = held.early ? row.promptLength : 0;
      end = Math.max(end, together);
      this.lone.push(this.grow({ from: 0, to: end, sequence, lane, own: null, lone: { helpers, together } }, index));
      this.positions += end * (helpers.length + 1);
    } else if (end > 0) {
      const own = held.end > 0 ? { from: row.promptLength - 1, action: this.nextAction++ } : null;
      this.insert(sequence, lane, end, own, index);
    }
    this.runs.push({ sequence, lane, end });
  }

  build(): PrefixTree {
    const nodes: Mutable<PrefixNode>[] = [];
    const leaf = new Int32Array(this.runs.length).fill(-1);
    const needs = new Map<Growing, number>();
    const list = (top: Growing, parent: number): void => {
      // An explicit stack: a chain of nodes may be as long as a sequence.
      const stack: { grown: Growing; parent: number }[] = [{ grown: top, parent }];
      for (let next = stack.pop(); next; next = stack.pop()) {
        const { grown } = next;
        const index = nodes.length;
        nodes.push({ ...this.node(grown, next.parent), below: index + 1 });
        for (const run of grown.ended) leaf[run] = index;
        for (const child of ordered(grown, needs).reverse()) stack.push({ grown: child, parent: index });
      }
    };
    const slots = slotsOf(this.root, needs);
    for (const top of ordered(this.root, needs)) list(top, -1);
    for (const top of this.lone) list(top, -1);
    for (let index = nodes.length - 1; index >= 0; index -= 1) {
      const { parent, below } = nodes[index];
      if (parent >= 0) nodes[parent].below = Math.max(nodes[parent].below, below);
    }
    return { nodes, runs: this.runs.map((run, index) => ({ ...run, node: leaf[index] })), slots };
  }

  private node({ from, to, sequence, lane, own, lone }: Growing, parent: number): Omit<PrefixNode, 'below'> {
    const ids = this.sequences[sequence].ids.slice(from, to);
    let acts = lone !== null;
    for (let position = from; !acts && position < to; position += 1) acts = this.action(sequence, lane, own, position) !== 0;
    return { parent, from, to, ids, sequence, lane, acts, lone };
  }

  private insert(sequence: number, lane: number, end: number, own: Own | null, run: number): void {
    const { ids } = this.sequences[sequence];
    let node = this.root;
    let position = 0;
    while (position < end) {
      const key = this.key(sequence, lane, own, position);
      const child = node.children.get(key);
      if (!child) {
        node.children.set(key, this.grow({ from: position, to: end, sequence, lane, own, lone: null }, run));
        this.positions += end - position;
        return;
      }
      const other = this.sequences[child.sequence].ids;
      const until = Math.min(child.to, end);
      let at = position + 1;
      while (
        at < until &&
        other[at] === ids[at] &&
        this.action(child.sequence, child.lane, child.own, at) === this.action(sequence, lane, own, at)
      ) {
        at += 1;
      }
      if (at < child.to) this.split(child, at);
      node = child;
      position = at;
    }
    node.ended.push(run);
  }

  private grow(growing: Omit<Growing, 'children' | 'ended'>, run: number): Growing {
    return { ...growing, children: new Map(), ended: [run] };
  }

  /** Leaves [from, at) in the node and puts the rest, with all that follows, into a child. */
  private split(node: Growing, at: number): void {
    const rest: Growing = { ...node, from: at };
    node.to = at;
    node.ended = [];
    node.children = new Map([[this.key(rest.sequence, rest.lane, rest.own, at), rest]]);
  }

  private key(sequence: number, lane: number, own: Own | null, position: number): number {
    return this.action(sequence, lane, own, position) * TOKENS + this.sequences[sequence].ids[position];
  }

  /** What acts at a position of a run: equal numbers for equal edits with equal strengths, 0 for none. */
  private action(sequence: number, lane: number, own: Own | null, position: number): number {
    if (own && position >= own.from) return own.action;
    const set = this.conditionsMet(sequence)[position];
    const known = (this.actions[lane] ??= []);
    return (known[set] ??= this.actionOf(lane, this.sets[set]));
  }

  private actionOf(lane: number, conditions: readonly number[]): number {
    const acting = conditions.flatMap((condition) =>
      this.conditions[condition].edits.flatMap(({ index }) => {
        const strength = this.plan.strengthOf(lane, index);
        return strength === null ? [] : [`${index}:${strength}`];
      }),
    );
    const key = acting.sort().join(' ');
    let action = this.actionIndex.get(key);
    if (action === undefined) this.actionIndex.set(key, (action = this.nextAction++));
    return action;
  }

  private conditionsMet(sequence: number): Int32Array {
    let met = this.met.get(sequence);
    if (!met) {
      const row = this.sequences[sequence];
      met = Int32Array.from(row.ids, (_, position) => {
        const set = this.conditions.flatMap(({ test }, index) => (test(row, position) ? [index] : []));
        const key = set.join();
        let index = this.setIndex.get(key);
        if (index === undefined) {
          this.setIndex.set(key, (index = this.sets.length));
          this.sets.push(set);
        }
        return index;
      });
      this.met.set(sequence, met);
    }
    return met;
  }

  private acts(lane: number, edit: PlannedEdit): boolean {
    return this.plan.strengthOf(lane, edit.index) !== null;
  }

  /** One past the last position from `needed` on where an edit acts whose gate reads that position; 0 where there is none. */
  private gatedEnd(sequence: number, lane: number, needed: number): number {
    const gated = this.conditions.map(({ edits }) => edits.some((edit) => seenByRunning(edit) && this.acts(lane, edit)));
    if (!gated.includes(true)) return 0;
    const met = this.conditionsMet(sequence);
    for (let position = met.length - 1; position >= needed; position -= 1) {
      if (this.sets[met[position]].some((condition) => gated[condition])) return position + 1;
    }
    return 0;
  }

  /** Where edits act that wait for the last prompt token's reading: one past the last such position, and whether some come before it. */
  private heldPositions(sequence: number, lane: number): { end: number; early: boolean } {
    const row = this.sequences[sequence];
    const last = row.promptLength - 1;
    let end = 0;
    let early = false;
    for (const edit of this.held) {
      if (!this.acts(lane, edit) || !edit.gate || !selects(this.plan.reads[edit.gate.read].tokens, row, last)) continue;
      for (let position = 0; position < row.ids.length; position += 1) {
        if (!selects(edit.tokens, row, position)) continue;
        end = Math.max(end, position + 1);
        early ||= position < last;
      }
    }
    return { end, early };
  }

  private helpersOf(lane: number): number[] {
    const all = new Set([lane]);
    for (const one of all) {
      for (const edit of this.plan.edits) if (edit.source && this.acts(one, edit)) all.add(edit.source.lane);
    }
    all.delete(lane);
    return [...all].sort((a, b) => a - b);
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Edits by what decides where they act, those apart that wait for the last prompt token. */
function conditionsOf(plan: Plan): Condition[] {
  const groups = new Map<PlannedEdit['tokens'], Map<PlannedEdit['tokens'] | null, PlannedEdit[]>>();
  for (const edit of plan.edits) {
    if (edit.gate?.hold === 'last') continue;
    const read = edit.gate ? plan.reads[edit.gate.read].tokens : null;
    const byRead = groups.get(edit.tokens) ?? new Map<PlannedEdit['tokens'] | null, PlannedEdit[]>();
    groups.set(edit.tokens, byRead);
    byRead.set(read, [...(byRead.get(read) ?? []), edit]);
  }
  return [...groups].flatMap(([tokens, byRead]) =>
    [...byRead].map(([read, edits]) => ({
      edits,
      // A gate without a reading at its position is closed.
      test: (sequence: NormalSequence, position: number) =>
        selects(tokens, sequence, position) && (read === null || selects(read, sequence, position)),
    })),
  );
}

/** Children with the one that needs most slots last: it goes on in its parent's. */
function ordered(node: Growing, needs: ReadonlyMap<Growing, number>): Growing[] {
  return [...node.children.values()].sort((a, b) => (needs.get(a) ?? 0) - (needs.get(b) ?? 0));
}

/** Fills in how many slots each subtree needs, and gives what the trees below a root need one after another. */
function slotsOf(root: Growing, needs: Map<Growing, number>): number {
  const order: Growing[] = [root];
  for (let at = 0; at < order.length; at += 1) for (const child of order[at].children.values()) order.push(child);
  for (const node of order.reverse()) {
    const below = [...node.children.values()].map((child) => needs.get(child) ?? 1).sort((a, b) => a - b);
    if (node === root) return below.at(-1) ?? 0;
    const last = below.at(-1) ?? 1;
    needs.set(node, Math.max(last, below.length > 1 ? below[below.length - 2] + 1 : 1));
  }
  return 0;
}
