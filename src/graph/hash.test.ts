import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { graphDocument, shape } from '../../test/arbitraries/graph.ts';
import { canonicalGraph, canonicalJson } from './canonical.ts';
import type { GraphDocument } from './document.ts';
import { graphHash, vectorHash } from './hash.ts';
import { parseGraph } from './schema.ts';
import { bindGraph } from './vectors.ts';

const t = [1, -2, 0.5, 4, 5, 6, 7, 8];
const tHash = '7a436a2bf7704247c217c18a46365373800a47c0d2de98285d57af4e12b90a84';
const document: GraphDocument = {
  tiller: 1,
  name: 'a name',
  model: shape,
  vectors: { t: { shape: [2, 4], data: t } },
  nodes: [
    { id: 'r', read: 'norm', at: { point: 'resid_post', layer: 0 }, tokens: 'all' },
    {
      id: 'h1.2',
      edit: 'add',
      at: { point: 'z', layer: 1, head: 2 },
      vector: ['t', 1],
      strength: 4.2,
      tokens: 'generated',
      when: { read: 'r', above: 0.5 },
    },
    {
      id: 'patch',
      edit: 'set',
      at: { point: 'z', layer: 1, head: 2 },
      tokens: { any: [{ to: -1 }, { at: [7, 3, 7] }, { not: { ids: [5, 1] } }] },
      vector: { from: { lane: 'clean', point: 'z', layer: 1, head: 0, tokens: 'last' } },
    },
  ],
};

type Loose = Record<string, unknown>;
/** A document that a test may change into anything. */
type Copy = Loose & { nodes: GraphDocument['nodes']; model: GraphDocument['model'] };
const changed = (change: (copy: Copy) => void): GraphDocument => {
  const copy = structuredClone(document) as unknown as Copy;
  change(copy);
  return parseGraph(copy);
};
const nodeOf = (copy: Pick<Copy, 'nodes'>, index: number): Loose => copy.nodes[index] as unknown as Loose;

/** The same value with the keys of every object in another order. */
const reordered = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(reordered);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, reordered(item)]),
  );
};

describe('canonical JSON', () => {
  it('is that of RFC 8785, section 3.2', () => {
    const value = {
      numbers: ['333333333.33333329', '1E30', '4.50', '2e-3', '0.000000000000000000000000001'].map(Number),
      string: '\u20ac$\u000f\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    };
    const expected =
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}';
    expect(canonicalJson(value)).toBe(expected);
    expect(canonicalJson({ '\u20ac': 1, '\r': 2, '1': 3, '\ud83d\ude00': 4, '\u0080': 5, '\u00f6': 6, '\ufb33': 7 })).toBe(
      '{"\\r":2,"1":3,"\u0080":5,"ö":6,"€":1,"😀":4,"\ufb33":7}',
    );
  });
});

describe('the hash of a graph', () => {
  it('is the one computed by hand from the definition', () => {
    expect(canonicalJson(canonicalGraph(document))).toBe(
      '{"model":{"family":"llama","headDim":4,"heads":4,"hidden":12,"intermediate":20,"kvHeads":2,"layers":3},"nodes":[' +
        '{"at":{"layer":0,"point":"resid_post"},"read":"norm","tokens":"all"},' +
        '{"at":{"head":2,"layer":1,"point":"z"},"edit":"add","strength":4.2,"tokens":"generated",' +
        `"vector":{"row":1,"sha256":"${tHash}","shape":[2,4]},"when":{"above":0.5,"hold":"each","read":0}},` +
        '{"at":{"head":2,"layer":1,"point":"z"},"edit":"set","strength":1,' +
        '"tokens":{"any":[{"from":0,"to":-1},{"at":[3,7]},{"not":{"ids":[1,5]}}]},' +
        '"vector":{"from":{"head":0,"lane":"clean","layer":1,"point":"z","tokens":"last"}}}],"tiller":1}',
    );
    expect(graphHash(document)).toBe('1f5f4345942f9a83aad7a9c5caf92f5818937d22b59b8582ad18f9246e634eb3');
    expect(vectorHash({ data: Float32Array.from(t) })).toBe(tHash);
  });

  it('of an empty vector and of a subarray is that of their bytes', () => {
    expect(vectorHash({ data: new Float32Array(0) })).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(vectorHash({ data: Float32Array.from([9, ...t, 9]).subarray(1, 9) })).toBe(tHash);
  });

  it.each<[string, GraphDocument]>([
    ['the name', changed((copy) => (copy['name'] = 'another'))],
    ['no name', changed((copy) => delete copy['name'])],
    ['the order of keys', reordered(document) as GraphDocument],
    [
      'ids',
      changed((copy) => {
        copy.nodes.forEach((_, index) => (nodeOf(copy, index)['id'] = `n${index}`));
        (nodeOf(copy, 1)['when'] as Loose)['read'] = 'n0';
      }),
    ],
    ['a strength of 1 written out', changed((copy) => (nodeOf(copy, 2)['strength'] = 1))],
    ['hold "each" written out', changed((copy) => ((nodeOf(copy, 1)['when'] as Loose)['hold'] = 'each'))],
    [
      'a start of 0 written out, sets in another order',
      changed((copy) => (nodeOf(copy, 2)['tokens'] = { any: [{ from: 0, to: -1 }, { at: [3, 7] }, { not: { ids: [1, 5, 5] } }] })),
    ],
    ['the vector stored beside the document', changed((copy) => (copy['vectors'] = { t: { shape: [2, 4], sha256: tHash } }))],
    [
      'the name of the vector, and an unused one',
      changed((copy) => {
        copy['vectors'] = { w: { shape: [2, 4], data: t }, unused: { shape: [1], data: [1] } };
        nodeOf(copy, 1)['vector'] = ['w', 1];
      }),
    ],
  ])('does not change with %s', (_, other) => {
    expect(graphHash(other)).toBe(graphHash(document));
  });

  const sensitive: [string, (copy: Copy) => void][] = [
    ['the family', (copy) => ((copy.model as unknown as Loose)['family'] = 'mistral')],
    ['the shape', (copy) => ((copy.model as unknown as Loose)['intermediate'] = 21)],
    ['a strength', (copy) => (nodeOf(copy, 1)['strength'] = 4.3)],
    ['a strength of 0', (copy) => (nodeOf(copy, 1)['strength'] = 0)],
    ['the sign of a strength', (copy) => (nodeOf(copy, 1)['strength'] = -4.2)],
    ['an edit', (copy) => (nodeOf(copy, 1)['edit'] = 'ablate')],
    ['a read', (copy) => Object.assign(nodeOf(copy, 0), { read: 'dot', vector: ['t', 0] })],
    ['the place of a read', (copy) => (nodeOf(copy, 0)['at'] = { point: 'resid_pre', layer: 0 })],
    ['a layer', (copy) => (nodeOf(copy, 1)['at'] = { point: 'z', layer: 2, head: 2 })],
    ['a head', (copy) => (nodeOf(copy, 1)['at'] = { point: 'z', layer: 1, head: 3 })],
    ['no head', (copy) => (nodeOf(copy, 1)['at'] = { point: 'z', layer: 1 })],
    ['a point', (copy) => (nodeOf(copy, 1)['at'] = { point: 'v', layer: 1, head: 2 })],
    ['the tokens', (copy) => (nodeOf(copy, 1)['tokens'] = 'answer')],
    ['the tokens of a read', (copy) => (nodeOf(copy, 0)['tokens'] = 'last')],
    ['a bound of a range', (copy) => (nodeOf(copy, 2)['tokens'] = { any: [{ to: -2 }, { at: [3, 7] }, { not: { ids: [1, 5] } }] })],
    ['any to all', (copy) => (nodeOf(copy, 2)['tokens'] = { all: [{ to: -1 }, { at: [3, 7] }, { not: { ids: [1, 5] } }] })],
    ['positions', (copy) => (nodeOf(copy, 2)['tokens'] = { any: [{ to: -1 }, { at: [3] }, { not: { ids: [1, 5] } }] })],
    ['the row', (copy) => (nodeOf(copy, 1)['vector'] = ['t', 0])],
    ['the numbers', (copy) => (copy['vectors'] = { t: { shape: [2, 4], data: [...t.slice(0, 7), 9] } })],
    ['the shape of the vector', (copy) => (copy['vectors'] = { t: { shape: [4, 2], data: t } })],
    ['the gate', (copy) => delete nodeOf(copy, 1)['when']],
    ['the threshold', (copy) => (nodeOf(copy, 1)['when'] = { read: 'r', above: 0.6 })],
    ['above to below', (copy) => (nodeOf(copy, 1)['when'] = { read: 'r', below: 0.5 })],
    ['both bounds', (copy) => (nodeOf(copy, 1)['when'] = { read: 'r', above: 0.5, below: 1 })],
    ['hold', (copy) => (nodeOf(copy, 1)['when'] = { read: 'r', above: 0.5, hold: 'last' })],
    ['the source lane', (copy) => (((nodeOf(copy, 2)['vector'] as Loose)['from'] as Loose)['lane'] = 0)],
    ['the source place', (copy) => (((nodeOf(copy, 2)['vector'] as Loose)['from'] as Loose)['head'] = 1)],
    ['the source tokens', (copy) => (((nodeOf(copy, 2)['vector'] as Loose)['from'] as Loose)['tokens'] = 'all')],
    ['no source', (copy) => delete nodeOf(copy, 2)['vector']],
    ['the order of nodes', (copy) => (copy['nodes'] = [copy.nodes[0], copy.nodes[2], copy.nodes[1]])],
    ['one node less', (copy) => (copy['nodes'] = copy.nodes.slice(0, 2))],
    ['one node more', (copy) => (copy['nodes'] = [...copy.nodes, { ...copy.nodes[0], id: 'again' }])],
  ];

  it('changes with everything that can change a result, each in its own way', () => {
    const hashes = new Map([[graphHash(document), 'nothing']]);
    for (const [what, change] of sensitive) {
      const hash = graphHash(changed(change));
      expect(hashes.get(hash), what).toBeUndefined();
      hashes.set(hash, what);
    }
  });

  it('a mask and a vector of the same numbers differ', () => {
    const base: GraphDocument = { tiller: 1, model: shape, vectors: { v: { shape: [4], data: [1, 0, 1, 0] } }, nodes: [] };
    const at = { point: 'z', layer: 0, head: 0 } as const;
    const masked = graphHash({ ...base, nodes: [{ id: 'a', edit: 'scale', at, tokens: 'all', mask: 'v' }] });
    const bare = graphHash({ ...base, nodes: [{ id: 'a', edit: 'scale', at, tokens: 'all' }] });
    const set = graphHash({ ...base, nodes: [{ id: 'a', edit: 'set', at, tokens: 'all', vector: 'v' }] });
    expect(new Set([masked, bare, set]).size).toBe(3);
    const row: GraphDocument = {
      ...base,
      vectors: { v: { shape: [1, 4], data: [1, 0, 1, 0] } },
      nodes: [{ id: 'a', edit: 'scale', at, tokens: 'all', mask: ['v', 0] }],
    };
    expect(graphHash(row)).toBe(masked);
  });

  it('any graph: key order, ids, name, and inline against stored never matter', () => {
    fc.assert(
      fc.property(graphDocument, (given) => {
        const hash = graphHash(given);
        expect(hash).toMatch(/^[0-9a-f]{64}$/);
        expect(graphHash(reordered(given) as GraphDocument)).toBe(hash);
        const rename = (id: string): string => `${id}'`;
        const nodes = given.nodes.map((node) => ({
          ...node,
          id: rename(node.id),
          ...('edit' in node && node.when ? { when: { ...node.when, read: rename(node.when.read) } } : {}),
        }));
        expect(graphHash({ ...given, name: 'x', nodes })).toBe(hash);
        const bound = bindGraph(given, null);
        const stored = Object.fromEntries(
          Object.entries(bound.vectors).map(([name, vector]) => [name, { shape: vector.shape, sha256: vectorHash(vector) }]),
        );
        expect(graphHash({ ...given, vectors: stored })).toBe(hash);
      }),
    );
  });
});
