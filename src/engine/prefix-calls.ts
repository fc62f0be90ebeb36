import type { PrefixNode, PrefixTree } from './prefix-tree.ts';

/** How a prefix tree is walked: forward calls of a limited number of rows, keys and values in a limited number of cache slots. */

/** Leading positions of one slot that another needs before the call runs. */
export interface SlotCopy {
  readonly from: number;
  readonly to: number;
  readonly positions: number;
}

/** Positions [from, to) of a node. The slot holds everything before them. */
export interface CallPart {
  readonly node: number;
  /** The node's lane, or a helper's that runs beside it. */
  readonly lane: number;
  readonly slot: number;
  readonly from: number;
  readonly to: number;
}

export interface PrefixCall {
  readonly copies: readonly SlotCopy[];
  readonly parts: readonly CallPart[];
  /** The lone node that has this call to itself, helpers first in `parts`; -1 for calls of shared nodes. */
  readonly lone: number;
}

export interface CallLimits {
  /** At least `slotsNeeded(tree)`; more let subtrees run side by side. */
  readonly slots: number;
  /** Most rows of a call, at least 1. Lone nodes may need more: one row a lane, and their `together` positions. */
  readonly rows: number;
  /** Rows that are kept for the caller, by node and position, and how many of them a call may have, at least 1. */
  readonly kept?: { readonly most: number; readonly is: (node: number, position: number) => boolean };
}

/** Cache slots without which the tree can not be walked. */
export function slotsNeeded(tree: PrefixTree): number {
  return tree.nodes.reduce((most, { lone }) => Math.max(most, lone ? lone.helpers.length + 1 : 0), tree.slots);
}

/**
 * Calls in the order in which they must run: every position once, after its node's parent. Of a parent's children the last to start goes
 * on in the parent's slot, the others in copies. Nodes are started depth first; where rows are left, later ones are started too, as
 * long as that leaves the slots that the depth-first walk may need, so that it never waits for a slot in vain.
 */
export function* planCalls(tree: PrefixTree, limits: CallLimits): Generator<PrefixCall, void, void> {
  const shared = tree.nodes.findIndex((node) => node.lone !== null);
  yield* new Walk(tree, shared < 0 ? tree.nodes.length : shared, limits).calls();
  for (const [index, node] of tree.nodes.entries()) if (node.lone) yield* loneCalls(index, node, limits);
}

function* loneCalls(index: number, node: PrefixNode, { rows, kept }: CallLimits): Generator<PrefixCall, void, void> {
  const lanes = [...(node.lone?.helpers ?? []), node.lane];
  const most = Math.max(1, Math.min(Math.floor(rows / lanes.length), kept?.most ?? Infinity));
  for (let from = 0; from < node.to;) {
    const to = Math.min(node.to, from + (from === 0 ? Math.max(most, node.lone?.together ?? 0) : most));
    yield { copies: [], parts: lanes.map((lane, slot) => ({ node: index, lane, slot, from, to })), lone: index };
    from = to;
  }
}

class Walk {
  private readonly at: number[];
  private readonly slot: number[];
  /** By node, children that have not been started. */
  private readonly waiting: number[];
  private readonly children: number[][];
  private readonly started: boolean[];
  private readonly free: number[];
  private readonly holders = new Set<number>();
  private running: number[] = [];
  /** Nodes that could start, ascending. */
  private ready: number[] = [];
  /** First node that has not been started. */
  private lowest = 0;

  constructor(
    private readonly tree: PrefixTree,
    private readonly count: number,
    private readonly limits: CallLimits,
  ) {
    const nodes = tree.nodes.slice(0, count);
    this.at = nodes.map((node) => node.from);
    this.slot = nodes.map(() => -1);
    this.started = nodes.map(() => false);
    this.children = nodes.map(() => []);
    nodes.forEach(({ parent }, index) => {
      if (parent < 0) this.ready.push(index);
      else this.children[parent].push(index);
    });
    this.waiting = this.children.map((list) => list.length);
    this.free = Array.from({ length: limits.slots }, (_, index) => limits.slots - 1 - index);
  }

  *calls(): Generator<PrefixCall, void, void> {
    while (this.lowest < this.count || this.running.length > 0) {
      const copies: SlotCopy[] = [];
      const parts: CallPart[] = [];
      const room = { rows: this.limits.rows, kept: this.limits.kept?.most ?? Infinity };
      for (const node of this.running) this.take(node, room, parts);
      for (let i = 0; i < this.ready.length && room.rows > 0 && room.kept > 0;) {
        const node = this.ready[i];
        const copy = this.start(node);
        if (copy === undefined) {
          i += 1;
          continue;
        }
        if (copy) copies.push(copy);
        this.ready.splice(i, 1);
        insert(this.running, node);
        this.take(node, room, parts);
      }
      if (parts.length === 0) throw new Error(`${this.limits.slots} slots do not suffice for a tree that needs ${this.tree.slots}`);
      yield { copies, parts, lone: -1 };
      for (const node of this.running.filter((index) => this.at[index] === this.tree.nodes[index].to)) this.finish(node);
    }
  }

  /** Gives the node a slot: null where it takes over its parent's or needs nothing in it, undefined where there is none for it. */
  private start(node: number): SlotCopy | null | undefined {
    const { parent, from } = this.tree.nodes[node];
    let copy: SlotCopy | null = null;
    if (parent >= 0 && this.waiting[parent] === 1) {
      this.slot[node] = this.slot[parent];
      this.holders.delete(parent);
    } else {
      if (node !== this.lowest && this.ahead() >= this.limits.slots - this.tree.slots) return undefined;
      const slot = this.free.pop();
      if (slot === undefined) return undefined;
      this.slot[node] = slot;
      if (parent >= 0) copy = { from: this.slot[parent], to: slot, positions: from };
    }
    if (parent >= 0) this.waiting[parent] -= 1;
    this.holders.add(node);
    this.started[node] = true;
    while (this.lowest < this.count && this.started[this.lowest]) this.lowest += 1;
    return copy;
  }

  /** Slots of nodes that the depth-first walk has not come to. */
  private ahead(): number {
    let held = 0;
    for (const node of this.holders) if (node > this.lowest) held += 1;
    return held;
  }

  private take(node: number, room: { rows: number; kept: number }, parts: CallPart[]): void {
    const { to, lane } = this.tree.nodes[node];
    const { kept } = this.limits;
    const from = this.at[node];
    let end = from;
    while (end < to && room.rows > 0) {
      const keeps = kept?.is(node, end) ?? false;
      if (keeps && room.kept === 0) break;
      if (keeps) room.kept -= 1;
      room.rows -= 1;
      end += 1;
    }
    if (end > from) parts.push({ node, lane, slot: this.slot[node], from, to: end });
    this.at[node] = end;
  }

  private finish(node: number): void {
    this.running.splice(this.running.indexOf(node), 1);
    for (const child of this.children[node]) insert(this.ready, child);
    if (this.children[node].length > 0) return;
    this.holders.delete(node);
    this.free.push(this.slot[node]);
  }
}

function insert(sorted: number[], value: number): void {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  sorted.splice(low, 0, value);
}
