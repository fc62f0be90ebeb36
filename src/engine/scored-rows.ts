import { pathOf, type PrefixTree } from './prefix-tree.ts';
import type { NormalScore } from './request.ts';

/**
 * Which positions of a prefix tree need logits, each once however many runs look at it: what is asked of a row, and which unedited row its
 * divergence is from. Rows are numbered in the order of nodes and positions.
 */
export class ScoredRows {
  readonly count: number;
  /** By row. */
  readonly node: Int32Array;
  readonly position: Int32Array;
  /** By row, tokens whose log-probability some run wants, without repetition. */
  readonly targets: readonly (readonly number[])[];
  /** By row, the unedited row of the same tokens; -1 where the row is unedited itself or nobody wants its divergence. */
  readonly partner: Int32Array;
  private readonly rows: readonly Int32Array[];

  /**
   * @param tree holds the unedited run of every sequence that it holds, where divergences are wanted
   * @param also by lane, whether all of its rows are needed, looked at or not
   */
  constructor(
    private readonly tree: PrefixTree,
    normal: NormalScore,
    also: (lane: number) => boolean = () => false,
  ) {
    this.rows = tree.nodes.map(({ ids }) => new Int32Array(ids.length).fill(-1));
    for (const run of tree.runs) {
      const { first, end } = normal.looked[run.sequence];
      const all = also(run.lane);
      this.walk(run, all ? 0 : first, all ? run.end : end, (node, at) => (this.rows[node][at] = 0));
    }
    let count = 0;
    for (const row of this.rows) row.forEach((wanted, at) => (row[at] = wanted < 0 ? -1 : count++));
    this.count = count;
    this.node = new Int32Array(count);
    this.position = new Int32Array(count);
    this.rows.forEach((row, node) =>
      row.forEach((index, at) => {
        if (index < 0) return;
        this.node[index] = node;
        this.position[index] = tree.nodes[node].from + at;
      }),
    );
    const targets = Array.from({ length: count }, () => new Set<number>());
    this.partner = new Int32Array(count).fill(-1);
    // Runs of a sequence follow one another, the unedited one first.
    let unedited = new Int32Array(0);
    for (const run of tree.runs) {
      const { ids } = normal.sequences[run.sequence];
      if (run.lane === 0) unedited = new Int32Array(ids.length).fill(-1);
      const from = normal.from[run.sequence];
      this.walk(run, from - 1, ids.length - 1, (node, at, position) => {
        const row = this.rows[node][at];
        targets[row].add(ids[position + 1]);
        if (run.lane === 0) unedited[position] = row;
        else if (normal.kl && unedited[position] !== row) this.partner[row] = unedited[position];
      });
    }
    this.targets = targets.map((set) => [...set]);
  }

  /** The row of a node's position; -1 where nobody looks. */
  of(node: number, position: number): number {
    return this.rows[node][position - this.tree.nodes[node].from];
  }

  /** Calls `visit` with the row of each computed position of a run in [from, to). */
  visit(run: PrefixTree['runs'][number], from: number, to: number, visit: (row: number, position: number) => void): void {
    this.walk(run, from, to, (node, at, position) => visit(this.rows[node][at], position));
  }

  /**
   * All rows in batches of at most `most` (2 or more): a row is in the same batch as its partner. A partner of more rows than fit beside it
   * comes again with each part of them.
   */
  batches(most: number): number[][] {
    const followers: number[][] = [];
    this.partner.forEach((partner, row) => {
      if (partner >= 0) (followers[partner] ??= []).push(row);
    });
    const done: number[][] = [];
    let batch: number[] = [];
    const flush = (): void => {
      if (batch.length > 0) done.push(batch);
      batch = [];
    };
    this.partner.forEach((partner, row) => {
      if (partner >= 0) return;
      const group = followers.at(row) ?? [];
      if (batch.length + 1 + group.length > most) flush();
      for (let at = 0; at === 0 || at < group.length; at += most - 1) {
        if (at > 0) flush();
        batch.push(row, ...group.slice(at, at + most - 1));
      }
    });
    flush();
    return done;
  }

  private walk(
    run: PrefixTree['runs'][number],
    from: number,
    to: number,
    visit: (node: number, at: number, position: number) => void,
  ): void {
    for (const node of pathOf(this.tree, run)) {
      const { from: start, to: stop } = this.tree.nodes[node];
      for (let position = Math.max(from, start); position < Math.min(to, stop); position += 1) visit(node, position - start, position);
    }
  }
}
