import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePlan } from '../graph/compile.ts';
import type { Lane, Selector } from '../graph/document.ts';
import type { ModelShape } from '../graph/points.ts';
import { buildGraph } from '../graph/vectors.ts';
import { SelectedCounts } from './edit-counts.ts';
import type { ScoreRequest } from './engine.ts';
import { PrefixTreeBuilder } from './prefix-tree.ts';
import { normalizeScore } from './request.ts';
import { scoreBlocks } from './score-blocks.ts';
import { ScoredRows } from './scored-rows.ts';

const shape: ModelShape = { family: 'llama', layers: 1, heads: 1, kvHeads: 1, headDim: 2, hidden: 2, intermediate: 2 };
const limits = { vocab: 8, limits: { maxContext: 64, maxLanes: 2 }, eosIds: [] };
const lanes: readonly Lane[] = [{ strengths: { '*': 1 } }, { strengths: { '*': 2 } }, { strengths: {} }];

function scored(tokens: Selector, request: ScoreRequest) {
  const nodes = [{ id: 'e', edit: 'scale' as const, at: { point: 'resid_post' as const, layer: 0 }, tokens }];
  const graph = buildGraph({ model: shape, nodes, vectors: {} });
  const normal = normalizeScore({ graph, lanes, ...request }, limits, 4);
  const { plan } = compilePlan({ graph, shape, vocab: 8, lanes: normal.lanes });
  const builder = new PrefixTreeBuilder(plan, normal.sequences);
  normal.sequences.forEach((_, s) => normal.lanes.forEach((_lane, lane) => builder.add(s, lane, normal.looked[s].end)));
  const tree = builder.build();
  return { normal, plan, tree, rows: new ScoredRows(tree, normal) };
}

const requests = fc.record({
  sequences: fc.array(
    fc
      .array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 8 })
      .chain((ids) => fc.record({ ids: fc.constant(ids), promptLength: fc.integer({ min: 1, max: ids.length }) })),
    { minLength: 1, maxLength: 6 },
  ),
  positions: fc.constantFrom<'all' | 'answer'>('all', 'answer'),
  top: fc.constantFrom(0, 1),
  kl: fc.boolean(),
});
const selectors = fc.constantFrom<Selector>('all', 'none', 'last', 'generated', 'answer', { ids: [1] });

describe('scored rows', () => {
  it('know every target of every run, and compare with the row of the same tokens unedited', () => {
    fc.assert(
      fc.property(selectors, requests, (tokens, request) => {
        const { normal, tree, rows } = scored(tokens, request);
        const unedited = new Map<string, number>();
        for (const run of tree.runs) {
          const { ids } = normal.sequences[run.sequence];
          const from = normal.from[run.sequence];
          let seen = 0;
          rows.visit(run, from - 1, ids.length - 1, (row, position) => {
            expect(position).toBe(from - 1 + seen++);
            expect(rows.position[row]).toBe(position);
            expect(rows.targets[row]).toContain(ids[position + 1]);
            expect(new Set(rows.targets[row]).size).toBe(rows.targets[row].length);
            const past = ids.slice(0, position + 1).join();
            if (run.lane === 0) unedited.set(past, row);
            const other = unedited.get(past);
            expect(rows.partner[row]).toBe(!normal.kl || other === row ? -1 : other);
          });
          expect(seen).toBe(Math.max(0, ids.length - from));
          rows.visit(run, normal.looked[run.sequence].first, normal.looked[run.sequence].end, (row) =>
            expect(row).toBeGreaterThanOrEqual(0),
          );
        }
      }),
      { numRuns: 100 },
    );
  });

  it('come in batches with the rows they are compared with, each once but for partners of many', () => {
    fc.assert(
      fc.property(selectors, requests, fc.integer({ min: 2, max: 9 }), (tokens, request, most) => {
        const { rows } = scored(tokens, request);
        const times = new Int32Array(rows.count);
        for (const batch of rows.batches(most)) {
          expect(batch.length).toBeLessThanOrEqual(most);
          expect(new Set(batch).size).toBe(batch.length);
          for (const row of batch) {
            times[row] += 1;
            if (rows.partner[row] >= 0) expect(batch).toContain(rows.partner[row]);
          }
        }
        times.forEach((count, row) => {
          if (rows.partner[row] >= 0) expect(count).toBe(1);
          else expect(count).toBeGreaterThanOrEqual(1);
        });
      }),
      { numRuns: 100 },
    );
  });
});

describe('blocks of a scoring request', () => {
  it('hold every sequence under every lane once, beside its unedited run, within the limits where that can be', () => {
    const limit = fc.integer({ min: 1, max: 60 });
    fc.assert(
      fc.property(selectors, requests, limit, limit, (tokens, request, rows, positions) => {
        const { plan, normal } = scored(tokens, request);
        const times = new Map<string, number>();
        let last = -1;
        for (const tree of scoreBlocks(plan, normal, { rows, positions })) {
          const unedited = tree.runs.filter((run) => run.lane === 0).map((run) => run.sequence);
          expect(new Set(unedited).size).toBe(unedited.length);
          tree.runs.forEach(({ sequence, lane }, at) => {
            expect(sequence).toBeGreaterThanOrEqual(last);
            last = sequence;
            if (lane > 0) expect(unedited).toContain(sequence);
            if (at === 0 || tree.runs[at - 1].sequence !== sequence) expect(lane).toBe(0);
            times.set(`${sequence} ${lane}`, (times.get(`${sequence} ${lane}`) ?? 0) + 1);
          });
          if (tree.runs.length > 2) {
            expect(new ScoredRows(tree, normal).count).toBeLessThanOrEqual(rows);
            expect(tree.nodes.reduce((sum, { from, to }) => sum + to - from, 0)).toBeLessThanOrEqual(positions);
          }
        }
        normal.sequences.forEach((_, s) =>
          normal.lanes.forEach((_lane, lane) => {
            const count = times.get(`${s} ${lane}`) ?? 0;
            if (lane === 0) expect(count).toBeGreaterThanOrEqual(1);
            else expect(count).toBe(1);
          }),
        );
      }),
      { numRuns: 100 },
    );
  });
});

describe('counts told by selectors', () => {
  it('are the positions selected, in lanes where the edit acts', () => {
    const sequences = [{ ids: [1, 2, 1, 1], promptLength: 2 }];
    const { plan, normal } = scored({ ids: [1] }, { sequences });
    const counts = new SelectedCounts(plan, normal.sequences);
    expect(normal.lanes.map((_, lane) => [...counts.of(0, lane)])).toEqual([[0], [3], [3], [0]]);
  });
});
