import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { graphDocument, shape } from '../../test/arbitraries/graph.ts';
import { TillerError } from '../errors/error.ts';
import { writeSafetensors } from '../formats/safetensors.ts';
import type { GraphDocument, Vector, VectorTable } from './document.ts';
import { graphHash, vectorHash } from './hash.ts';
import { bindGraph, buildGraph, readGraph, writeGraph } from './vectors.ts';

const rows: Vector = { shape: [2, 4], data: Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8]) };
const document: GraphDocument = {
  tiller: 1,
  model: shape,
  vectors: { t: { shape: [2, 4], sha256: vectorHash(rows) } },
  nodes: [{ id: 'a', edit: 'add', at: { point: 'z', layer: 0, head: 0 }, tokens: 'all', vector: ['t', 1] }],
};
const large: Vector = { shape: [2, 1000], data: Float32Array.from({ length: 2000 }, (_, i) => Math.sin(i)) };

const failure = (action: () => unknown): TillerError => {
  try {
    action();
  } catch (error) {
    if (error instanceof TillerError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('binding vectors', () => {
  it('takes stored and inline ones, and leaves tensors alone that the document does not name', () => {
    expect(bindGraph(document, { t: rows, other: large }).vectors).toEqual({ t: rows });
    const inline: GraphDocument = { ...document, vectors: { t: { shape: [2, 4], data: [...rows.data] } } };
    expect(bindGraph(inline, null).vectors).toEqual({ t: rows });
  });

  it.each<[string, VectorTable | null, RegExp]>([
    ['no file', null, /no file of vectors/],
    ['not in the file', {}, /not in the file/],
    ['a name that objects inherit is not in the file', Object.create({ t: rows }) as VectorTable, /not in the file/],
    ['another shape', { t: { shape: [8], data: rows.data } }, /shape \[8\]/],
    ['other numbers', { t: { shape: [2, 4], data: rows.data.map((x) => x + 1) } }, /SHA-256/],
    ['too few numbers', { t: { shape: [2, 4], data: rows.data.subarray(1) } }, /do not fill/],
    ['a number that is not finite', { t: { shape: [2, 4], data: Float32Array.from([1, NaN, 3, 4, 5, 6, 7, 8]) } }, /value 1 is NaN/],
  ])('%s', (_, tensors, message) => {
    const error = failure(() => bindGraph(document, tensors));
    expect(error.code).toBe('graph/vector');
    expect(error.details['name']).toBe('t');
    expect(error.message).toMatch(message);
  });

  it('refuses rows that do not exist, in documents that no parser saw', () => {
    const error = failure(() => bindGraph({ ...document, nodes: [{ ...document.nodes[0], vector: ['t', 2] }] }, { t: rows }));
    expect(error.code).toBe('graph/vector');
    expect(error.message).toContain('node "a"');
  });
});

describe('files', () => {
  it('any graph keeps its identity, its nodes and its numbers through writing and reading', () => {
    fc.assert(
      fc.property(graphDocument, (given) => {
        const bound = bindGraph(given, null);
        const files = writeGraph(bound);
        const again = readGraph(files.json, files.safetensors);
        expect(again).toEqual(bound);
        expect(graphHash(again.document)).toBe(graphHash(given));
      }),
    );
  });

  it('long vectors go beside the document, inline or not; short inline ones stay', () => {
    const long: GraphDocument = {
      ...document,
      vectors: { t: document.vectors!['t'], l: { shape: [...large.shape], data: [...large.data] }, s: { shape: [1], data: [0.1] } },
    };
    const bound = bindGraph(long, { t: rows });
    const files = writeGraph(bound);
    const again = readGraph(files.json, files.safetensors);
    expect(Object.entries(again.document.vectors ?? {}).map(([name, entry]) => [name, 'data' in entry])).toEqual([
      ['t', false],
      ['l', false],
      ['s', true],
    ]);
    expect(again.vectors).toEqual(bound.vectors);
    expect(graphHash(again.document)).toBe(graphHash(long));
    expect(failure(() => readGraph(files.json, null)).code).toBe('graph/vector');
  });

  it('negative zero inline is zero, before writing as after', () => {
    const zero: GraphDocument = { ...document, vectors: { t: { shape: [2, 4], data: [-0, 1, 2, 3, 4, 5, 6, 7] } } };
    const bound = bindGraph(zero, null);
    expect(Object.is(bound.vectors['t'].data[0], 0)).toBe(true);
    expect(graphHash(readGraph(writeGraph(bound).json, null).document)).toBe(graphHash(zero));
  });

  it('a graph from a program is written with a node a line', () => {
    const bound = buildGraph({ name: 'n', model: { ...shape, vocab: 3 } as typeof shape, nodes: document.nodes, vectors: { t: rows } });
    expect(bound.document).toEqual({ ...document, name: 'n' });
    expect(writeGraph(bound).json.split('\n')).toHaveLength(12);
    expect(failure(() => buildGraph({ model: shape, nodes: document.nodes })).code).toBe('graph/invalid');
  });

  it.each<[string, string, string]>([
    ['no JSON', '{', 'graph/invalid'],
    ['nothing', '', 'graph/invalid'],
    ['deep JSON', '['.repeat(200_000) + ']'.repeat(200_000), 'graph/too-large'],
    ['deep JSON that does not end', '{"a":'.repeat(200_000), 'graph/invalid'],
    ['equal keys', '{"tiller": 1, "tiller": 2}', 'graph/invalid'],
    ['too much text', ' '.repeat(67_108_865), 'graph/too-large'],
  ])('%s', (_, json, code) => {
    expect(failure(() => readGraph(json, null)).code).toBe(code);
  });

  it('a byte order mark is no error', () => {
    expect(
      readGraph(`\uFEFF${writeGraph({ document, vectors: { t: rows } }).json}`, writeSafetensors([{ name: 't', ...rows }])).vectors['t'],
    ).toEqual(rows);
  });

  it('a tensor of another type, a damaged file', () => {
    const { json } = writeGraph({ document, vectors: { t: rows } });
    const ints = writeSafetensors([{ name: 't', shape: [2, 4], data: Int32Array.from(rows.data) }]);
    expect(failure(() => readGraph(json, ints)).message).toContain('I32');
    expect(failure(() => readGraph(json, ints.subarray(0, 20))).code).toBe('model/file');
    expect(failure(() => readGraph(json, new Uint8Array(0))).code).toBe('model/file');
  });
});
