import { TillerError } from '../../errors/error.ts';
import type { Plan } from '../../graph/plan.ts';
import { planCalls, slotsNeeded, type CallLimits, type PrefixCall } from '../prefix-calls.ts';
import { seenByRunning, type PrefixTree } from '../prefix-tree.ts';
import type { NormalSequence } from '../request.ts';
import type { Core } from './core.ts';
import { Flight } from './flight.ts';
import type { GraphRun, RowRef } from './graph-run.ts';
import { Readback } from './readback.ts';
import { LAST_PROMPT_BIT, type CallRow } from './row-table.ts';

/** Most bytes of keys and values for subtrees side by side; what a tree needs at least it gets. */
const CACHE_BYTES = 256 * 1048576;
/** Most strengths, and counts, of a graph run. */
const TABLE_FLOATS = 4 * 1048576;

/** A row of a call: a node's position, for the node's lane or for a helper's. */
export interface TreeRef extends RowRef {
  readonly node: number;
  /** Index of its strengths and counts in the call's graph run. */
  readonly strengths: number;
  /** False for rows that are here for the sake of lanes that take vectors from them. */
  readonly wanted: boolean;
}

export interface TreeCall {
  readonly rows: readonly CallRow[];
  readonly refs: readonly TreeRef[];
  /** Null where nothing acts in any row. */
  readonly graph: GraphRun | null;
}

export interface TreeLimits {
  /** Most rows of a call. */
  readonly rows: number;
  readonly kept?: CallLimits['kept'];
  readonly signal: AbortSignal | undefined;
  readonly onRows: (rows: number) => void;
}

/** Rows of the strength table of a graph run over a tree: one a node where the device counts edits, else one a lane. */
export interface StrengthRows {
  readonly lanes: readonly number[];
  of(node: number): number;
}

export function strengthRows(plan: Plan, tree: PrefixTree): StrengthRows {
  if (plan.edits.some(seenByRunning)) return { lanes: tree.nodes.map((node) => node.lane), of: (node) => node };
  const lanes = [...new Set(tree.nodes.map((node) => node.lane))];
  const index = new Map(lanes.map((lane, row) => [lane, row]));
  return { lanes, of: (node) => index.get(tree.nodes[node].lane) ?? 0 };
}

/**
 * Most positions of a tree: nodes have to fit the 16 bits that a row has for its strengths, and where each node has a row of
 * strengths and counts, these tables have to stay small.
 */
export function mostPositions(plan: Plan): number {
  return plan.edits.some(seenByRunning) ? Math.min(65535, Math.floor(TABLE_FLOATS / plan.edits.length)) : 65535;
}

/** Most rows that one call over the tree may have. */
export function mostRows(tree: PrefixTree, rows: number): number {
  return tree.nodes.reduce(
    (most, { lone }) => (lone ? Math.max(most, (lone.helpers.length + 1) * Math.max(1, lone.together)) : most),
    rows,
  );
}

/**
 * Computes every position of the tree once. `work` records and submits each call; selections are written by then. Gives, by node, how
 * often edits acted that only the device can count; null where there are none. The cache holds nothing that outlives this.
 */
export async function runPrefixTree(
  core: Core,
  plan: Plan,
  sequences: readonly NormalSequence[],
  tree: PrefixTree,
  limits: TreeLimits,
  work: (call: TreeCall) => Promise<void>,
): Promise<Uint32Array[] | null> {
  const { cache } = core.model;
  const { signal } = limits;
  const slots = makeRoom(core, tree, limits.rows);
  const most = mostRows(tree, limits.rows);
  const strengths = strengthRows(plan, tree);
  const sizes = { slots: cache.slots, maxRows: most, ringRows: 0, maxPositions: most };
  const counted = plan.edits.some(seenByRunning);
  const counts = tree.nodes.map(() => new Uint32Array(counted ? plan.edits.length : 0));
  const flight = new Flight();
  let graph = tree.nodes.some((node) => node.acts && !node.lone) ? core.graphRun(plan, { ...sizes, lanes: strengths.lanes }) : null;
  let lone = -1;

  const takeCounts = async (): Promise<void> => {
    if (!graph || !counted) return;
    const read = await readCounts(core, graph);
    if (lone >= 0) add(counts[lone], read[read.length - 1]);
    else counts.forEach((row, node) => add(row, read[node]));
  };

  for (const call of planCalls(tree, { slots, rows: limits.rows, kept: limits.kept })) {
    if (signal?.aborted) throw new TillerError('request/aborted');
    if (call.lone >= 0 && call.lone !== lone) {
      await takeCounts();
      lone = call.lone;
      const node = tree.nodes[lone];
      graph = core.graphRun(plan, { ...sizes, lanes: [...(node.lone?.helpers ?? []), node.lane] });
    }
    const { rows, refs } = rowsOf(call, tree, sequences, strengths);
    const acts = call.parts.some(({ node }) => tree.nodes[node].acts);
    if (acts) graph?.select(refs, 0, lone >= 0);
    if (call.copies.length > 0) core.recorder.submit(await core.recorder.compile(cache.copy(core.model.params, call.copies)));
    await work({ rows, refs, graph: acts ? graph : null });
    await flight.add(core.settle(signal));
    limits.onRows(rows.length);
  }
  await takeCounts();
  await flight.land();
  return counted ? counts : null;
}

/** Slots enough to fill calls with subtrees side by side, as far as memory goes. */
function makeRoom(core: Core, tree: PrefixTree, rows: number): number {
  const { cache } = core.model;
  const longest = tree.nodes.reduce((most, node) => Math.max(most, node.to), 1);
  const positions = tree.nodes.reduce((sum, { from, to }) => sum + to - from, 0);
  const least = slotsNeeded(tree);
  const useful = Math.min(tree.nodes.length, least + 2 * Math.ceil(rows / (positions / Math.max(1, tree.nodes.length))));
  const slots = Math.max(1, least, Math.min(useful, cache.slotsWithin(CACHE_BYTES, longest)));
  cache.ensure(Math.max(2, slots), longest);
  cache.forgetAll();
  return slots;
}

function rowsOf(
  call: PrefixCall,
  tree: PrefixTree,
  sequences: readonly NormalSequence[],
  strengths: StrengthRows,
): { rows: CallRow[]; refs: TreeRef[] } {
  const rows: CallRow[] = [];
  const refs: TreeRef[] = [];
  call.parts.forEach(({ node: index, lane, slot, from, to }, part) => {
    const node = tree.nodes[index];
    const sequence = sequences[node.sequence];
    const row = call.lone >= 0 ? part : strengths.of(index);
    for (let position = from; position < to; position += 1) {
      const last = position === sequence.promptLength - 1 ? LAST_PROMPT_BIT : 0;
      rows.push({ token: sequence.ids[position], slot, position, flags: row | last });
      refs.push({ sequence, position, lane, node: index, strengths: row, wanted: lane === node.lane });
    }
  });
  return { rows, refs };
}

/** Edits applied so far, by row of the strength table. */
export async function readCounts(core: Core, run: GraphRun): Promise<Uint32Array[]> {
  const readback = Readback.prepare(core.device, core.health, [run.counts]);
  core.recorder.submit([], (encoder) => readback.encode(encoder));
  const [bytes] = await readback.take();
  return run.countsOf(bytes);
}

function add(to: Uint32Array, from: Uint32Array): void {
  from.forEach((value, index) => (to[index] += value));
}
