import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Capture, Engine, ScoreRequest, Scores, SequenceInput } from '../../src/engine/engine.ts';
import type { BoundGraph, GraphNode, Lane, Role, Selector } from '../../src/graph/document.ts';
import type { ModelShape } from '../../src/graph/points.ts';
import { expectClose, expectIdentical, logitsOf } from './compare.ts';
import { referenceEngine, type EngineUnderTest } from './engines.ts';
import { loadGolden, loadGoldenModel } from './golden.ts';
import { graphOf, oneHead, rich, vector } from './graphs.ts';

const MODEL = 'mistral_window';

/** Two questions after one primer with three answers each, a question cut short, one twice, and one told apart by its prompt length. */
const primer = [1, 9, 4, 7, 2, 8];
const roles = (count: number): (Role | null)[] => Array.from({ length: count }, (_, p) => (p < 4 ? 'system' : p < 8 ? 'user' : null));
const items: readonly SequenceInput[] = [
  ...[
    [3, 5],
    [3, 6],
  ].flatMap((question) =>
    [
      [10, 11, 12],
      [10, 13],
      [14, 11, 12, 15],
    ].map((answer) => ({ ids: [...primer, ...question, ...answer], promptLength: 8, roles: roles(8 + answer.length) })),
  ),
  { ids: [...primer, 3, 5], promptLength: 7, roles: roles(8) },
  { ids: [...primer, 3, 5, 10, 11, 12], promptLength: 8, roles: roles(11) },
  { ids: [...primer, 3, 5, 10, 11, 12], promptLength: 6 },
];
/** Positions of the unedited tree over `items` that score a token: the primer, 3, its 5 and 6, three answers each without their last token. */
const SHARED = 6 + 1 + 2 * (1 + 2 + 3);

const lanes: readonly Lane[] = [
  { strengths: { '*': 1 } },
  { strengths: { '*': 0 } },
  { name: 'twice', strengths: { '*': 2 } },
  { strengths: { '*': 1, a: -1 } },
  { strengths: { a: 1 } },
];

/** What edits wait for, by name; in each `a` is an edit that lanes may name. */
function graphsOf(model: ModelShape, vocab: number): Readonly<Record<string, BoundGraph>> {
  const vectors = { h: vector(1, model.hidden), d: vector(2, model.headDim), l: vector(3, vocab) };
  const head = (id: string, layer: number, tokens: Selector, more: object = {}): GraphNode => ({
    id,
    edit: 'add',
    at: { point: 'z', layer, head: 1 },
    vector: 'd',
    strength: 1.5,
    tokens,
    ...more,
  });
  const bias = (id: string, tokens: Selector, more: object = {}): GraphNode => ({
    id,
    edit: 'add',
    at: { point: 'logits' },
    vector: 'l',
    strength: 0.5,
    tokens,
    ...more,
  });
  const read: GraphNode = { id: 'r', read: 'dot', at: { point: 'resid_pre', layer: 1 }, vector: 'h', tokens: { not: { at: [1] } } };
  const each = { when: { read: 'r', above: 0 } };
  const held = { when: { read: 'r', below: 1000, hold: 'last' } };
  const from = (place: object): object => ({ vector: { from: { lane: 0, tokens: { not: { at: [3] } }, ...place } } });
  const of = (...nodes: GraphNode[]): BoundGraph => graphOf(model, nodes, vectors);
  return {
    'generated and answers': of(head('a', 0, 'generated'), head('b', 1, 'answer'), head('c', 1, { ids: [12] })),
    'everywhere and roles': of(head('a', 0, { role: 'user' }), head('b', 1, 'all'), head('c', 0, { from: -3 })),
    'a gate at each token': of(read, head('a', 1, 'all', each), head('b', 1, 'answer')),
    'a gate held for the answer': of(read, head('a', 1, 'generated', held), head('b', 1, 'answer', each)),
    'a gate held for the prompt too': of(read, head('a', 1, 'all', held), head('b', 0, 'answer')),
    'the logits': of(read, bias('a', 'all'), bias('b', 'generated', each), bias('c', 'answer', held)),
    patching: of(head('a', 0, 'generated'), head('b', 1, 'all', from({ point: 'z', layer: 1, head: 0 })), head('c', 1, 'answer')),
    'patching of logits': of(head('a', 0, 'prompt'), bias('b', 'all', { edit: 'set', ...from({ point: 'logits' }) })),
    'a bit of everything': graphOf(
      model,
      rich(model, vocab).document.nodes.map((node) => (node.id === 'each' ? { ...node, id: 'a' } : node)),
      rich(model, vocab).vectors,
    ),
  };
}

/** What sequences and conditions share is computed once, and nobody can tell from the results. */
export function describePrefixes(under: EngineUnderTest): void {
  describe('shared beginnings', () => {
    const { spec, source } = loadGoldenModel(MODEL);
    const { order } = under.accuracy;
    const apart = Math.max(order, 4 * loadGolden(MODEL).file.tolerances.logits_abs);
    const graphs = graphsOf(spec, spec.vocab);
    let engine: Engine;
    let plain: Engine;

    beforeAll(async () => {
      engine = await under.open(spec, source);
      plain = await referenceEngine.open(spec, source);
    });
    afterAll(async () => {
      await engine.dispose();
      await plain.dispose();
    });

    const score = (more: Partial<ScoreRequest> = {}): Promise<Scores> => engine.score({ sequences: items, ...more });

    /** Lane by lane and sequence by sequence: the same counts exactly, the same numbers within a tolerance. */
    function expectSame(got: Scores, want: Scores, abs: number): void {
      got.sequences.forEach((one, s) => {
        const other = want.sequences[s];
        expect(one.from).toBe(other.from);
        expectClose(one.logprobs, other.logprobs, { abs }, `sequence ${s}`);
        expect(one.lanes.length).toBe(other.lanes.length);
        one.lanes.forEach(({ logprobs, kl, edits }, lane) => {
          const what = `sequence ${s}, lane ${lane}`;
          expectClose(logprobs, other.lanes[lane].logprobs, { abs }, what);
          expectClose(kl ?? [], other.lanes[lane].kl ?? [], { abs, rel: 1e-3 }, `${what}: divergences`);
          expect(edits, what).toEqual(other.lanes[lane].edits);
        });
      });
      expect(got.unmatched).toEqual(want.unmatched);
    }

    it('gives every sequence what it gives it alone, and says how much was shared', async () => {
      const together = await score();
      for (const [s, item] of items.entries()) {
        const alone = await engine.score({ sequences: [item] });
        expectClose(together.sequences[s].logprobs, alone.sequences[0].logprobs, { abs: order }, `sequence ${s}`);
      }
      const positions = items.reduce((sum, { ids }) => sum + ids.length, 0);
      expect(together.work.positions).toBe(positions);
      // An engine shares all there is to share, or it is the plain one.
      expect([SHARED, positions]).toContain(together.work.computed);
    });

    for (const [name, graph] of Object.entries(graphs)) {
      describe(name, () => {
        it('agrees with the reference in every lane', async () => {
          const got = await score({ graph, lanes });
          expectSame(got, await plain.score({ sequences: items, graph, lanes }), apart);
          const positions = items.reduce((sum, { ids }) => sum + ids.length, 0) * (lanes.length + 1);
          expect(got.work.positions).toBe(positions);
          if (!name.includes('patching')) expect(got.work.computed).toBeLessThanOrEqual(positions);
        });

        it('gives many lanes what it gives each alone, and the unedited one where nothing acts', async () => {
          const together = await score({ graph, lanes });
          for (const [lane, one] of lanes.entries()) {
            const alone = await score({ graph, lanes: [one] });
            const part = together.sequences.map((sequence) => ({ ...sequence, lanes: [sequence.lanes[lane]] }));
            expectSame({ ...together, sequences: part, unmatched: alone.unmatched }, alone, order);
          }
          together.sequences.forEach(({ logprobs, lanes: scored }) => {
            expectIdentical(scored[1].logprobs, logprobs, 'the lane of factor 0');
            expectIdentical(scored[1].kl ?? new Float32Array(1), new Float32Array(logprobs.length), 'its divergences');
          });
        });

        it('gives sequences what it gives each alone, with their words and logits', async () => {
          const more = { graph, lanes: lanes.slice(0, 2), top: 2, logits: true };
          const together = await score(more);
          for (const [s, item] of items.entries()) {
            const alone = await engine.score({ sequences: [item], ...more });
            expectSame({ ...together, sequences: [together.sequences[s]], unmatched: alone.unmatched }, alone, order);
            const [one, other] = [together.sequences[s], alone.sequences[0]];
            expectClose(logitsOf(one), logitsOf(other), { abs: order }, `logits of sequence ${s}`);
            for (const kind of ['unedited', 'edited'] as const) {
              expect(one.top?.[kind]?.length).toBe(item.ids.length);
              one.top?.[kind]?.forEach((top, t) => {
                const want = other.top?.[kind]?.[t].map(({ logprob }) => logprob) ?? [];
                expect(top.length).toBe(2);
                expectClose(
                  top.map(({ logprob }) => logprob),
                  want,
                  { abs: order },
                  `${kind} word after token ${t}`,
                );
              });
            }
          }
        });

        it('scores answers as it scores everything, with and without divergences', async () => {
          const all = await score({ graph, lanes });
          for (const kl of [true, false]) {
            const answers = await score({ graph, lanes, positions: 'answer', kl, top: 1 });
            expect(answers.unmatched).toEqual(all.unmatched);
            answers.sequences.forEach((sequence, s) => {
              const { ids, promptLength = 0 } = items[s];
              const whole = all.sequences[s];
              expect(sequence.from).toBe(promptLength);
              expect(sequence.logprobs.length).toBe(ids.length - promptLength);
              expectClose(sequence.logprobs, whole.logprobs.subarray(promptLength - 1), { abs: order }, `sequence ${s}`);
              sequence.lanes.forEach((lane, l) => {
                expectClose(lane.logprobs, whole.lanes[l].logprobs.subarray(promptLength - 1), { abs: order }, `lane ${l}`);
                if (kl) expectClose(lane.kl ?? [], whole.lanes[l].kl?.subarray(promptLength - 1) ?? [], { abs: order }, `kl of lane ${l}`);
                else expect(lane.kl).toBeNull();
                expect(lane.edits).toEqual(whole.lanes[l].edits);
              });
              expect(sequence.edited).toBe(sequence.lanes[0].logprobs);
              expect(sequence.top?.edited?.map((top) => top.length)).toEqual(ids.map((_, t) => (t < promptLength - 1 ? 0 : 1)));
            });
          }
        });

        it('captures what it captures from each sequence alone, and what the reference does', async () => {
          const points = [
            { point: 'z' as const, layers: [1] },
            { point: 'resid_post' as const, layers: [0] },
          ];
          for (const at of ['last', { any: ['answer', { role: 'user' }] }] as const) {
            const request = { points, at, graph };
            const together = await engine.capture({ sequences: items, ...request });
            expectCaptured(together, await plain.capture({ sequences: items, ...request }), apart);
            for (const [s, item] of items.entries()) {
              const alone = await engine.capture({ sequences: [item], ...request });
              const arrays = together.arrays.filter((array) => array.sequence === s);
              expectCaptured({ ...together, arrays, edits: [together.edits[s]], unmatched: alone.unmatched }, alone, order);
            }
          }
        });
      });
    }

    function expectCaptured(got: Capture, want: Capture, abs: number): void {
      expect(got.edits).toEqual(want.edits);
      expect(got.unmatched).toEqual(want.unmatched);
      expect(got.arrays.length).toBe(want.arrays.length);
      got.arrays.forEach((array, i) => {
        const other = want.arrays[i];
        expect([array.point, array.layer, array.positions, array.tokens]).toEqual([
          other.point,
          other.layer,
          other.positions,
          other.tokens,
        ]);
        expectClose(array.data, other.data, { abs, rel: abs }, `${array.point} of layer ${array.layer}`);
      });
    }

    it('captures every point without a graph, whichever is the deepest', async () => {
      for (const { point } of engine.model.points) {
        const want = await plain.capture({ sequences: items, points: [{ point }], at: 'generated' });
        const got = await engine.capture({ sequences: items, points: [{ point }], at: 'generated' });
        expectCaptured(got, want, apart);
        for (const layer of want.arrays[0].layer < 0 ? [] : [0, spec.layers - 1]) {
          const one = await engine.capture({ sequences: items, points: [{ point, layers: [layer] }], at: 'generated' });
          expectCaptured(one, { ...want, arrays: want.arrays.filter((array) => array.layer === layer) }, apart);
        }
      }
    });

    it('runs no further than the last position it keeps', async () => {
      const { work, arrays } = await engine.capture({ sequences: items, points: [{ point: 'z' }], at: { at: [2] } });
      expect(arrays.every((array) => array.positions.length === 1)).toBe(true);
      expect([3, work.positions]).toContain(work.computed);
      const none = await engine.capture({ sequences: items, points: [{ point: 'z' }], at: 'none' });
      expect([0, work.positions]).toContain(none.work.computed);
      expect(none.arrays.every((array) => array.data.length === 0)).toBe(true);
    });

    it('takes more lanes than run at once', async () => {
      const many = Array.from({ length: 70 }, (_, i) => ({ strengths: { '*': 0.05 * i } }));
      const graph = oneHead(spec, 0, 0, 1, 'generated');
      const sequences = items.slice(0, 2);
      const got = await engine.score({ sequences, graph, lanes: many, positions: 'answer' });
      expect(got.sequences[0].lanes.length).toBe(70);
      for (const lane of [0, 33, 69]) {
        const alone = await engine.score({ sequences, graph, lanes: [many[lane]], positions: 'answer' });
        got.sequences.forEach(({ lanes: scored }, s) => {
          expectClose(scored[lane].logprobs, alone.sequences[s].lanes[0].logprobs, { abs: order }, `lane ${lane} of sequence ${s}`);
          expectClose(scored[lane].kl ?? [], alone.sequences[s].lanes[0].kl ?? [], { abs: order }, `its divergences`);
        });
      }
    });

    it('reports progress up to the end, and stops when told', async () => {
      const seen: (readonly [number, number])[] = [];
      await score({ graph: graphs['a gate at each token'], lanes, onProgress: (done, total) => seen.push([done, total]) });
      expect(seen.length).toBeGreaterThan(0);
      expect(seen.at(-1)?.[0]).toBe(seen.at(-1)?.[1]);
      expect(seen.every(([done], i) => i === 0 || done >= seen[i - 1][0])).toBe(true);
      const controller = new AbortController();
      const stopped = score({ signal: controller.signal, onProgress: () => controller.abort() });
      const code = await stopped.then(
        () => 'finished',
        (error: { code?: unknown }) => error.code,
      );
      expect(['request/aborted', 'finished']).toContain(code);
      expect((await score()).sequences.length).toBe(items.length);
    });
  });
}
