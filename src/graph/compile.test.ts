import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { graphDocument, shape, vocab, widthAt } from '../../test/arbitraries/graph.ts';
import { compilePlan } from './compile.ts';
import { countsById } from './counts.ts';
import type { At, EditNode, GraphDocument, GraphNode, Lane, Selector } from './document.ts';
import { graphHash } from './hash.ts';
import type { Plan } from './plan.ts';
import { forwardOrder, points, type PointName } from './points.ts';
import type { Refusal } from './refusal.ts';
import { refusalError } from './refuse.ts';
import { parseGraph } from './schema.ts';
import { bindGraph } from './vectors.ts';

const lanes: readonly Lane[] = [{ name: 'as is' }, { name: 'x1', strengths: { '*': 1 } }];
const vectors = {
  h: { shape: [2, 4], data: [3, 0, 4, 0, 0, 0, 0, 0] },
  w: { shape: [12], data: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] },
  zero: { shape: [4], data: [0, 0, 0, 0] },
};
const z: At = { point: 'z', layer: 1, head: 2 };
const bound = (nodes: readonly GraphNode[], model = shape) => bindGraph(parseGraph({ tiller: 1, model, vectors, nodes }), null);
const compile = (nodes: readonly GraphNode[], given: readonly Lane[] = lanes, more: object = {}): { plan: Plan; refusals: Refusal[] } =>
  compilePlan({ graph: bound(nodes), shape, vocab, lanes: given, ...more });
const edit = (parts: Partial<EditNode>): EditNode => ({ id: 'e', edit: 'scale', at: z, tokens: 'all', ...parts });
const read = (at: At, id = 'r'): GraphNode => ({ id, read: 'norm', at, tokens: 'all' });
const from = (parts: object, tokens: Selector = 'all') => ({ from: { lane: 0, ...z, tokens, ...parts } });

describe('a plan', () => {
  it('of no graph has nothing in it', () => {
    const { plan, refusals } = compilePlan({ graph: null, shape, vocab, lanes });
    expect(refusals).toEqual([]);
    expect([plan.edits, plan.reads, plan.hash, plan.wholePrompt]).toEqual([[], [], '', false]);
    expect(plan.at('z', 0)).toEqual([]);
  });

  it('holds slices, rows, unit directions and masks', () => {
    const { plan, refusals } = compile([
      edit({ id: 'add', edit: 'add', vector: ['h', 0], strength: 2 }),
      edit({ id: 'ablate', edit: 'ablate', vector: ['h', 0] }),
      edit({ id: 'scale' }),
      edit({ id: 'masked', mask: ['h', 1] }),
      edit({ id: 'kv', at: { point: 'v', layer: 0, head: 1 } }),
      edit({ id: 'full', edit: 'add', at: { point: 'resid_post', layer: 2 }, vector: 'w' }),
      edit({ id: 'logits', at: { point: 'logits' } }),
      edit({ id: 'zero', edit: 'set' }),
    ]);
    expect(refusals).toEqual([]);
    expect(plan.edits.map(({ id, layer, start, width }) => [id, layer, start, width])).toEqual([
      ['add', 1, 8, 4],
      ['ablate', 1, 8, 4],
      ['scale', 1, 8, 4],
      ['masked', 1, 8, 4],
      ['kv', 0, 4, 4],
      ['full', 2, 0, 12],
      ['logits', -1, 0, vocab],
      ['zero', 1, 8, 4],
    ]);
    const [add, ablate, scale, masked, , full, , zero] = plan.edits;
    expect([...(add.vector ?? [])]).toEqual([3, 0, 4, 0]);
    expect([...(ablate.vector ?? [])]).toEqual([Math.fround(0.6), 0, Math.fround(0.8), 0]);
    expect([scale.vector, [...(scale.mask ?? [])]]).toEqual([null, [1, 1, 1, 1]]);
    expect([...(masked.mask ?? [])]).toEqual([0, 0, 0, 0]);
    expect(full.vector).toHaveLength(12);
    expect([zero.vector, zero.source, zero.mask]).toEqual([null, null, null]);
    expect(plan.edits.map((e) => e.strength)).toEqual([2, 1, 1, 1, 1, 1, 1, 1]);
    expect(add.tokens).toBe(ablate.tokens);
  });

  it('gives the nodes of a place in document order, edits before reads', () => {
    const { plan } = compile([
      read(z, 'r0'),
      edit({ id: 'b' }),
      edit({ id: 'elsewhere', at: { point: 'z', layer: 0 } }),
      read({ point: 'z', layer: 1 }, 'r1'),
      edit({ id: 'a' }),
    ]);
    expect(plan.at('z', 1).map((node) => node.id)).toEqual(['b', 'a', 'r0', 'r1']);
    expect(plan.at('z', 0).map((node) => node.id)).toEqual(['elsewhere']);
    expect(plan.at('z', 2)).toEqual([]);
    expect(plan.edits.map((e) => e.index)).toEqual([0, 1, 2]);
    expect(plan.reads.map((r) => r.index)).toEqual([0, 1]);
  });

  it('knows which readings are held', () => {
    const gate = (hold?: 'each' | 'last') => [
      read({ point: 'embed' }),
      read({ point: 'resid_pre', layer: 0 }, 'other'),
      edit({ when: { read: 'r', above: 1, hold } }),
    ];
    const last = compile(gate('last')).plan;
    expect([last.wholePrompt, last.reads.map((r) => r.held)]).toEqual([true, [true, false]]);
    expect(last.edits[0].gate).toEqual({ read: 0, above: 1, below: null, hold: 'last' });
    const each = compile(gate()).plan;
    expect([each.wholePrompt, each.edits[0].gate?.hold]).toEqual([false, 'each']);
  });

  it('resolves sources by lane name and number', () => {
    const { plan, refusals } = compile([
      edit({ id: 'a', edit: 'set', vector: from({ lane: 'x1', head: 0 }) }),
      edit({ id: 'b', edit: 'add', vector: from({ lane: 0, point: 'q' }, 'last') }),
    ]);
    expect(refusals).toEqual([]);
    expect(plan.edits.map((e) => e.source && [e.source.lane, e.source.point, e.source.layer, e.source.start, e.source.width])).toEqual([
      [1, 'z', 1, 0, 4],
      [0, 'q', 1, 8, 4],
    ]);
  });

  it('any valid graph compiles whole: every node once, at its place, with what it needs', () => {
    fc.assert(
      fc.property(graphDocument, (document: GraphDocument) => {
        const { plan, refusals } = compilePlan({ graph: bindGraph(document, null), shape, vocab, lanes });
        expect(refusals).toEqual([]);
        expect(plan.hash).toBe(graphHash(document));
        expect([...plan.edits, ...plan.reads].map((node) => node.id).sort()).toEqual(document.nodes.map((node) => node.id).sort());
        const placed = points.flatMap(({ point, perLayer }) => (perLayer ? [0, 1, 2] : [-1]).flatMap((layer) => plan.at(point, layer)));
        expect(new Set(placed)).toEqual(new Set([...plan.edits, ...plan.reads]));
        for (const node of document.nodes) {
          const planned = placed.find((candidate) => candidate.id === node.id);
          expect(planned?.width).toBe(widthAt(node.at));
          for (const array of [planned?.vector, planned?.kind === 'edit' ? planned.mask : null])
            if (array) expect(array).toHaveLength(widthAt(node.at));
        }
      }),
    );
  });
});

describe('strengths by lane', () => {
  const all = (['add', 'scale', 'ablate', 'set', 'clamp', 'cap'] as const).map((name) =>
    edit({ id: name, edit: name, strength: 3, ...(name === 'scale' ? {} : { vector: ['h', 0] as const }) }),
  );
  const strengths = (lane: Lane, nodes: readonly EditNode[] = all): (number | null)[] => {
    const { plan, refusals } = compile(nodes, [lane]);
    expect(refusals).toEqual([]);
    return nodes.map((_, index) => plan.strengthOf(0, index));
  };

  it('are factor times strength, the factor its own, else that of *, else 0', () => {
    expect(strengths({})).toEqual([null, null, null, null, null, null]);
    expect(strengths({ strengths: { '*': 2 } })).toEqual([6, 6, 6, 6, 6, 6]);
    expect(strengths({ strengths: { '*': -1, add: 0, cap: 0.5 } })).toEqual([null, -3, -3, -3, -3, 1.5]);
    expect(strengths({ strengths: { add: 1 } })).toEqual([3, null, null, null, null, null]);
    expect(strengths({ strengths: { '*': 0 } })).toEqual([null, null, null, null, null, null]);
  });

  it('of 0 leave clamp and cap acting, and nothing else', () => {
    const zero = all.map((node) => ({ ...node, strength: 0 }));
    expect(strengths({ strengths: { '*': 1 } }, zero)).toEqual([null, null, null, null, 0, 0]);
  });

  it('too small for f32 are 0', () => {
    expect(strengths({ strengths: { '*': 2 ** -200 } })).toEqual([null, null, null, null, 3 * 2 ** -200, 3 * 2 ** -200]);
  });

  it('of a lane or an edit that is not there are null', () => {
    const { plan } = compile(all, [{ strengths: { '*': 1 } }]);
    expect([plan.strengthOf(1, 0), plan.strengthOf(0, 99)]).toEqual([null, null]);
  });

  it('work for ids that every object inherits', () => {
    expect(strengths({ strengths: { '*': 2 } }, [edit({ id: 'constructor' }), edit({ id: 'toString' })])).toEqual([2, 2]);
    expect(strengths({}, [edit({ id: 'constructor' })])).toEqual([null]);
  });
});

describe('refusals', () => {
  const reasons = (nodes: readonly GraphNode[], given: readonly Lane[] = lanes, more: object = {}): string[] => {
    const { plan, refusals } = compile(nodes, given, more);
    expect([plan.edits, plan.reads]).toEqual([[], []]);
    for (const { reason, remedy } of refusals) expect([reason, remedy]).not.toContain('');
    return refusals.map(({ node, reason }) => `${node}: ${reason}`);
  };

  it('another shape is one refusal with the fields that differ, whatever else is wrong', () => {
    const other = { ...shape, family: 'qwen2', heads: 8 };
    const { plan, refusals } = compilePlan({ graph: bound([edit({ at: { point: 'z', layer: 9 } })], other), shape, vocab, lanes });
    expect(refusals).toHaveLength(1);
    expect(refusals[0]).toMatchObject({ code: 'graph/model-mismatch', node: '' });
    expect(refusals[0].reason).toBe('family is qwen2 in the graph and llama in the model, heads is 8 in the graph and 4 in the model');
    expect(plan.edits).toEqual([]);
    expect(refusalError(refusals).message).toContain('heads is 8');
  });

  it.each<[string, GraphNode[], string]>([
    ['a layer', [edit({ at: { point: 'z', layer: 3 } })], 'e: at names layer 3, the model has 3'],
    ['a query head', [edit({ at: { point: 'z', layer: 0, head: 4 } })], 'e: at names head 4 of "z", which has 4'],
    ['a key head', [edit({ at: { point: 'k', layer: 0, head: 2 } })], 'e: at names head 2 of "k", which has 2'],
    ['the width of a vector', [edit({ edit: 'add', vector: 'w' })], 'e: the vector "w" is 12 wide, a head of "z" is 4'],
    ['the width of a mask', [edit({ mask: 'w' })], 'e: the mask "w" is 12 wide, a head of "z" is 4'],
    [
      'the width of the whole',
      [edit({ edit: 'add', at: { point: 'z', layer: 0 }, vector: ['h', 0] })],
      'e: the vector "h" is 4 wide, "z" is 16',
    ],
    [
      'the width of a read',
      [{ id: 'r', read: 'dot', at: z, tokens: 'all', vector: 'w' }],
      'r: the vector "w" is 12 wide, a head of "z" is 4',
    ],
    ['a zero direction', [edit({ edit: 'cap', vector: 'zero' })], 'e: the vector "zero" (row 0) is zero and has no direction'],
    [
      'a source too late',
      [edit({ edit: 'set', vector: from({ layer: 2 }) })],
      'e: its source z of layer 2 comes after z of layer 1 in the forward pass',
    ],
    ['a source too wide', [edit({ edit: 'set', vector: from({ head: undefined }) })], 'e: its source z of layer 1 is 16 wide, the edit 4'],
    ['a source head', [edit({ edit: 'set', vector: from({ head: 4 }) })], 'e: the source names head 4 of "z", which has 4'],
    [
      'a lane number',
      [edit({ edit: 'set', vector: from({ lane: 2 }) })],
      'e: its source is the lane number 2, and no lane of this run is that',
    ],
    [
      'a lane name',
      [edit({ edit: 'set', vector: from({ lane: 'clean' }) })],
      'e: its source is the lane named "clean", and no lane of this run is that',
    ],
  ])('%s', (_, nodes, expected) => {
    expect(reasons(nodes)).toEqual([expected]);
  });

  it('zero vectors are fine where only their numbers count', () => {
    expect(compile([edit({ edit: 'add', vector: 'zero' }), edit({ id: 'm', mask: 'zero' })]).refusals).toEqual([]);
  });

  it('two lanes of one name', () => {
    const twice = [{ name: 'a' }, { name: 'a' }];
    expect(reasons([edit({ edit: 'set', vector: from({ lane: 'a' }) })], twice)[0]).toContain('2 lanes of this run are');
    expect(compile([edit({})], twice).refusals).toEqual([]);
  });

  it('a point the model lacks', () => {
    const without: PointName[] = points.map((row) => row.point).filter((point) => point !== 'resid_mid');
    const nodes = [edit({ at: { point: 'resid_mid', layer: 0 } })];
    expect(reasons(nodes, lanes, { points: without })[0]).toContain('"resid_mid", which models of the family llama do not have');
    expect(compile(nodes).refusals).toEqual([]);
  });

  it('factors for ids that are no edit, and factors that are no numbers', () => {
    const nodes = [read({ point: 'embed' }), edit({})];
    expect(reasons(nodes, [{ strengths: { f: 1 } }])).toEqual([': lane 0 gives a factor for "f", which the graph lacks']);
    expect(reasons(nodes, [{ name: 'n', strengths: { r: 1 } }])).toEqual([
      'r: lane "n" gives a factor for the read "r", which has no strength',
    ]);
    expect(reasons(nodes, [{ strengths: { e: NaN } }])).toEqual(['e: lane 0 gives the factor NaN']);
    expect(reasons([edit({ strength: 1e38 })], [{ strengths: { '*': 100 } }])[0]).toContain('more than f32 holds');
    expect(compilePlan({ graph: null, shape, vocab, lanes: [{ strengths: { e: 1 } }] }).refusals).toHaveLength(1);
  });

  it('all of them, in document order', () => {
    const nodes = [edit({ id: 'a', at: { point: 'z', layer: 7 } }), read({ point: 'z', layer: 8 }), edit({ id: 'b', mask: 'w' })];
    expect(compile(nodes).refusals.map((refusal) => refusal.node)).toEqual(['a', 'r', 'b']);
    expect(refusalError(compile(nodes).refusals).message).toBe(
      'The graph cannot run here: node "a": at names layer 7, the model has 3 (and 2 more)',
    );
  });

  it('a gate or a source is refused exactly when its place comes too late', () => {
    const place = fc
      .tuple(fc.constantFrom(...points), fc.nat(shape.layers - 1))
      .map(([row, layer]): At => (row.perLayer ? { point: row.point, layer } : { point: row.point }));
    const order = (at: At): number => forwardOrder(at.point, at.layer ?? -1, shape.layers);
    fc.assert(
      fc.property(place, place, (early, late) => {
        const gated = compile([read(early), edit({ at: late, when: { read: 'r', above: 0 } })]).refusals;
        expect(gated.length === 0).toBe(order(early) < order(late));
        const sourced = compile([edit({ at: late, edit: 'set', vector: { from: { lane: 0, ...early, tokens: 'all' } } })]).refusals;
        expect(sourced.length === 0).toBe(order(early) <= order(late) && widthAt(early) === widthAt(late));
      }),
    );
  });
});

describe('counts', () => {
  it('become records by id, with the edits that acted nowhere although they were on', () => {
    const { plan } = compile(
      [edit({ id: 'a' }), read(z), edit({ id: 'b' }), edit({ id: 'c', strength: 0 })],
      [{}, { strengths: { '*': 1 } }],
    );
    expect(countsById(plan, [Uint32Array.from([0, 0, 0]), Uint32Array.from([5, 0, 0])])).toEqual({
      edits: [
        { a: 0, b: 0, c: 0 },
        { a: 5, b: 0, c: 0 },
      ],
      unmatched: ['b'],
    });
  });
});
