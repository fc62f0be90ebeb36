import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePlan } from '../graph/compile.ts';
import type { BoundGraph, GraphNode, Lane, Role, Selector } from '../graph/document.ts';
import type { Plan } from '../graph/plan.ts';
import type { ModelShape } from '../graph/points.ts';
import { buildGraph } from '../graph/vectors.ts';
import { planCalls, slotsNeeded } from './prefix-calls.ts';
import { pathOf, PrefixTreeBuilder, type PrefixTree } from './prefix-tree.ts';
import type { NormalSequence } from './request.ts';
import { selects } from './rows.ts';

const shape: ModelShape = { family: 'llama', layers: 2, heads: 2, kvHeads: 1, headDim: 2, hidden: 4, intermediate: 4 };
const vectors = { h: { shape: [4], data: Float32Array.of(1, 2, 3, 4) } };

const planOf = (nodes: readonly GraphNode[], lanes: readonly Lane[]): Plan => {
  const graph: BoundGraph = buildGraph({ model: shape, nodes, vectors });
  const { plan, refusals } = compilePlan({ graph, shape, vocab: 8, lanes });
  expect(refusals).toEqual([]);
  return plan;
};
const treeOf = (plan: Plan, sequences: readonly NormalSequence[], lanes: number, needed: (s: number) => number): PrefixTree => {
  const builder = new PrefixTreeBuilder(plan, sequences);
  sequences.forEach((_, s) => {
    for (let lane = 0; lane < lanes; lane += 1) builder.add(s, lane, needed(s));
  });
  return builder.build();
};
const sequence = (ids: readonly number[], promptLength = ids.length, roles: readonly (Role | null)[] = []): NormalSequence => ({
  ids,
  promptLength,
  roles,
});
const add = (id: string, tokens: Selector, more: Partial<GraphNode> = {}): GraphNode => ({
  id,
  edit: 'add',
  at: { point: 'resid_post', layer: 0 },
  vector: 'h',
  tokens,
  ...more,
});
const lanes: readonly Lane[] = [{ name: 'as is' }, { strengths: { '*': 1 } }, { strengths: { '*': 2 } }];
const count = (tree: PrefixTree): number => tree.nodes.reduce((sum, node) => sum + node.to - node.from, 0);

/**
 * What a position's activations depend on, said the slow way: by position, the token and every edit that may act, with all that its gate
 * looks at. Runs whose edits wait for the last prompt token have a history of their own from there on.
 */
function history(plan: Plan, row: NormalSequence, run: string, lane: number): string[] {
  const waits = plan.edits.filter(
    ({ index, gate }) =>
      gate?.hold === 'last' && plan.strengthOf(lane, index) !== null && selects(plan.reads[gate.read].tokens, row, row.promptLength - 1),
  );
  const held = waits.some((edit) => row.ids.some((_, p) => selects(edit.tokens, row, p)));
  let all = '';
  return row.ids.map((id, p) => {
    const acting = plan.edits.filter(
      ({ index, tokens, gate }) =>
        plan.strengthOf(lane, index) !== null &&
        gate?.hold !== 'last' &&
        selects(tokens, row, p) &&
        (gate === null || selects(plan.reads[gate.read].tokens, row, p)),
    );
    all += `|${id}:${acting.map(({ index }) => `${index}x${plan.strengthOf(lane, index)}`).join()}`;
    if (held && p >= row.promptLength - 1) all += `@${run}`;
    return all;
  });
}

const selectors = fc.oneof(
  fc.constantFrom<Selector>('all', 'none', 'prompt', 'last', 'generated', 'answer', { role: 'user' }, { ids: [1] }, { from: -2 }),
  fc.record({ from: fc.nat(6) }),
);
const graphs = fc.array(
  fc.record({
    tokens: selectors,
    gate: fc.option(fc.record({ tokens: selectors, hold: fc.constantFrom<'each' | 'last'>('each', 'last') }), { nil: null }),
    patches: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  }),
  { maxLength: 4 },
);
const sequencesOf = fc.array(
  fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 9 }).chain((ids) =>
    fc.record({
      ids: fc.constant(ids),
      promptLength: fc.integer({ min: 1, max: ids.length }),
      roles: fc.constantFrom<readonly (Role | null)[]>(
        [],
        ids.map((_, p) => (p < 2 ? 'user' : null)),
      ),
      needed: fc.integer({ min: 0, max: ids.length }),
    }),
  ),
  { minLength: 1, maxLength: 7 },
);
const strengths = fc.array(fc.dictionary(fc.constantFrom('e0', 'e1', 'e2', '*'), fc.constantFrom(0, 1, 2), { maxKeys: 2 }), {
  minLength: 1,
  maxLength: 4,
});

const cases = fc.tuple(graphs, sequencesOf, strengths).map(([edits, sequences, factors]) => {
  const nodes: GraphNode[] = edits.flatMap(({ tokens, gate, patches }, i): GraphNode[] => [
    ...(gate ? [{ id: `r${i}`, read: 'norm', at: { point: 'embed' }, tokens: gate.tokens } as const] : []),
    add(`e${i}`, tokens, {
      ...(gate ? { when: { read: `r${i}`, above: 0, hold: gate.hold } } : {}),
      ...(patches ? { vector: { from: { lane: 0, point: 'resid_post', layer: 0, tokens: 'all' } } } : {}),
    }),
  ]);
  const ids = new Set(nodes.map((node) => node.id));
  const given = factors.map((row) => Object.fromEntries(Object.entries(row).filter(([id]) => id === '*' || ids.has(id))));
  const plan = planOf(nodes, [{ name: 'as is' }, ...given.map((row) => ({ strengths: row }))]);
  return { plan, sequences, lanes: factors.length + 1, tree: treeOf(plan, sequences, factors.length + 1, (s) => sequences[s].needed) };
});

describe('prefix tree', () => {
  it('holds every run whole, and shares a position when and only when its history is the same', () => {
    fc.assert(
      fc.property(cases, ({ plan, sequences, lanes: count, tree }) => {
        expect(tree.runs.length).toBe(sequences.length * count);
        const owner = new Map<string, string>();
        const historyAt = new Map<string, string>();
        tree.runs.forEach((run, r) => {
          const row = sequences[run.sequence];
          const path = pathOf(tree, run);
          expect(run.end).toBeGreaterThanOrEqual(row.needed);
          expect(path.flatMap((node) => tree.nodes[node].ids)).toEqual(row.ids.slice(0, run.end));
          const own = history(plan, row, String(r), run.lane);
          let at = 0;
          for (const node of path) {
            const { from, to, lone, ids, parent } = tree.nodes[node];
            expect(from).toBe(at);
            expect(to - from).toBe(ids.length);
            expect(to).toBeGreaterThan(from);
            if (parent >= 0) expect(tree.nodes[parent].lone).toBeNull();
            for (let p = from; p < to; p += 1) {
              const place = `${node}:${p}`;
              const past = lone ? `${own[p]} alone ${r}` : own[p];
              expect(historyAt.get(place) ?? past).toBe(past);
              historyAt.set(place, past);
              expect(owner.get(past) ?? place).toBe(place);
              owner.set(past, place);
            }
            at = to;
          }
          expect(at).toBe(run.end);
        });
      }),
      { numRuns: 150 },
    );
  });

  it('is in depth-first order, ends nodes where runs end, and says which nodes no edit reaches', () => {
    fc.assert(
      fc.property(cases, ({ plan, sequences, tree }) => {
        tree.nodes.forEach(({ parent, below, lone, sequence: s, lane, from, to, acts }, index) => {
          expect(parent).toBeLessThan(index);
          expect(below).toBeGreaterThan(index);
          if (parent >= 0) expect(below).toBeLessThanOrEqual(tree.nodes[parent].below);
          if (parent >= 0) expect(from).toBe(tree.nodes[parent].to);
          if (lone || acts) return;
          for (let p = from; p < to; p += 1) {
            const acting = plan.edits.filter((edit) => edit.gate === null && selects(edit.tokens, sequences[s], p));
            expect(acting.every((edit) => plan.strengthOf(lane, edit.index) === null)).toBe(true);
          }
        });
        for (const run of tree.runs) {
          if (run.node >= 0) expect(tree.nodes[run.node].to).toBe(run.end);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('shares a primer between questions, and what precedes an edit between lanes', () => {
    const primer = [1, 2, 3, 4, 5, 6];
    const texts = [0, 1].flatMap((question) => [0, 1, 2].map((answer) => sequence([...primer, question, 7, answer, 7], 8)));
    const plan = planOf([add('e', 'generated')], lanes);
    const tree = treeOf(plan, texts, 3, () => 10);
    // The primer, the two questions up to their last token; that token and three answers of two tokens for each of three lanes.
    expect(count(tree)).toBe(6 + 2 + 2 * 3 * (1 + 3 * 2));
    expect(tree.slots).toBe(4);
    expect(tree.nodes.filter((node) => !node.acts).length).toBe(1 + 2 * (1 + 1 + 3));
  });

  it('shares everything where strengths are zero or selectors pick nothing', () => {
    const plan = planOf([add('e', 'all'), add('f', 'none')], [{}, { strengths: { e: 0, f: 1 } }, { strengths: { f: 2 } }]);
    expect(treeOf(plan, [sequence([1, 2, 3])], 3, () => 3).nodes.length).toBe(1);
  });

  it('shares across lanes that give an edit the same strength', () => {
    const plan = planOf([add('e', 'all'), add('f', { from: 2 })], [{}, { strengths: { e: 1, f: 1 } }, { strengths: { e: 1, f: 2 } }]);
    expect(count(treeOf(plan, [sequence([1, 2, 3])], 3, () => 3))).toBe(3 + 2 + 1 + 1);
  });

  it('keeps the rows of a held gate to each run from the last prompt token on, and runs alone what it sends back', () => {
    const read: GraphNode = { id: 'r', read: 'norm', at: { point: 'embed' }, tokens: 'all' };
    const gate = { when: { read: 'r', above: 0, hold: 'last' } } as Partial<GraphNode>;
    const texts = [sequence([1, 2, 3, 4], 2), sequence([1, 2, 3, 5], 2)];
    const after = treeOf(planOf([read, add('e', 'answer', gate)], lanes.slice(0, 2)), texts, 2, () => 3);
    // Both run to the end, so that the last position's edit is counted.
    expect(after.runs.map((run) => run.end)).toEqual([3, 4, 3, 4]);
    expect(count(after)).toBe(3 + 3 + 3);
    const before = treeOf(planOf([read, add('e', 'all', gate)], lanes.slice(0, 2)), texts, 2, () => 1);
    expect(before.nodes.map((node) => node.lone)).toEqual([null, { helpers: [], together: 2 }, { helpers: [], together: 2 }]);
    expect(before.nodes.map((node) => node.to)).toEqual([1, 4, 4]);
  });

  it('runs a patched lane beside the lanes it takes from', () => {
    const from = { lane: 0, point: 'resid_post', layer: 0, tokens: 'all' } as const;
    const plan = planOf([add('e', 'last', { vector: { from } })], lanes);
    const tree = treeOf(plan, [sequence([1, 2, 3])], 3, () => 2);
    expect(tree.nodes.map(({ lane, to, lone }) => [lane, to, lone?.helpers ?? null])).toEqual([
      [0, 2, null],
      [1, 3, [0]],
      [2, 3, [0]],
    ]);
    expect(slotsNeeded(tree)).toBe(2);
  });
});

describe('calls over a prefix tree', () => {
  it('compute every position once, with the right positions before it in the slot, in any number of slots and rows', () => {
    fc.assert(
      fc.property(
        cases,
        fc.nat(6),
        fc.integer({ min: 1, max: 12 }),
        fc.option(fc.integer({ min: 1, max: 3 })),
        (one, spare, rows, most) => {
          const { tree } = one;
          const slots = slotsNeeded(tree) + spare;
          const kept = most === null ? undefined : { most, is: (node: number, p: number) => (node + p) % 2 === 0 };
          // What each slot holds: for each position the node that computed it there.
          const held: number[][] = Array.from({ length: slots }, () => []);
          const at = tree.nodes.map((node) => node.from);
          for (const call of planCalls(tree, { slots, rows, kept })) {
            expect(call.parts.length).toBeGreaterThan(0);
            const sources = new Set(call.copies.map((copy) => copy.from));
            for (const copy of call.copies) {
              expect(sources.has(copy.to)).toBe(false);
              held[copy.to] = held[copy.from].slice(0, copy.positions);
            }
            expect(new Set(call.parts.map((part) => part.slot)).size).toBe(call.parts.length);
            for (const { node, slot, from, to } of call.parts) {
              const { parent, lone } = tree.nodes[node];
              expect(slot).toBeLessThan(slots);
              expect(call.lone).toBe(lone ? node : -1);
              expect(from).toBe(at[node]);
              expect(to).toBeGreaterThan(from);
              if (lone && from === 0) held[slot] = [];
              const before: number[] = [];
              for (let up = parent; up >= 0; up = tree.nodes[up].parent) {
                before.unshift(...tree.nodes[up].ids.map(() => up));
              }
              before.push(...Array.from({ length: from - tree.nodes[node].from }, () => node));
              expect(held[slot].slice(0, from)).toEqual(before);
              held[slot] = [...before, ...Array.from({ length: to - from }, () => node)];
            }
            call.parts.forEach(({ node, lane, to }) => {
              if (lane === tree.nodes[node].lane) at[node] = to;
            });
            if (call.lone < 0) {
              expect(call.parts.reduce((sum, { from, to }) => sum + to - from, 0)).toBeLessThanOrEqual(rows);
              const chosen = call.parts.flatMap(({ node, from, to }) =>
                Array.from({ length: to - from }, (_, i) => kept?.is(node, from + i) ?? false),
              );
              expect(chosen.filter(Boolean).length).toBeLessThanOrEqual(most ?? Infinity);
            }
          }
          expect(at).toEqual(tree.nodes.map((node) => node.to));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('fill calls with leaves of several questions where there are slots', () => {
    const texts = Array.from({ length: 6 }, (_, q) => [0, 1, 2].map((a) => sequence([1, 1, 1, 1, 2, q, q, a, a], 7))).flat();
    const tree = treeOf(planOf([], [{}]), texts, 1, () => 9);
    const calls = (slots: number): number[] =>
      [...planCalls(tree, { slots, rows: 12 })].map(({ parts }) => parts.reduce((sum, { from, to }) => sum + to - from, 0));
    expect(tree.slots).toBe(3);
    expect(calls(16)).toEqual([5, 12, 12, 12, 12]);
    expect(calls(3).length).toBeGreaterThan(8);
  });
});
