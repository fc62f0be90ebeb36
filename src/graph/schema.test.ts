import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { graphDocument, shape } from '../../test/arbitraries/graph.ts';
import { TillerError } from '../errors/error.ts';
import { graphLimits } from './limits.ts';
import { parseGraph } from './schema.ts';

const sha256 = '0'.repeat(64);
const z = { point: 'z', layer: 0, head: 1 };
const scale = { id: 'a', edit: 'scale', at: z, tokens: 'all' };
const norm = { id: 'r', read: 'norm', at: { point: 'embed' }, tokens: 'all' };
const withNodes = (...nodes: unknown[]): unknown => ({
  tiller: 1,
  model: shape,
  vectors: { t: { shape: [2, 4], sha256 }, u: { shape: [4], sha256 } },
  nodes,
});

function problem(value: unknown): TillerError {
  try {
    parseGraph(value);
  } catch (error) {
    if (error instanceof TillerError) return error;
    throw error;
  }
  throw new Error('the document was accepted');
}

describe('documents that are accepted', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(graphDocument, (document) => {
        expect(parseGraph(JSON.parse(JSON.stringify(document)))).toEqual(document);
      }),
    );
  });

  it.each<[string, unknown]>([
    ['no nodes', { tiller: 1, model: shape, nodes: [] }],
    ['a zero ablation', withNodes({ id: 'a', edit: 'set', at: z, tokens: 'all' })],
    [
      'a source',
      withNodes({
        id: 'a',
        edit: 'set',
        at: z,
        tokens: 'all',
        vector: { from: { lane: 'clean', point: 'z', layer: 1, head: 0, tokens: 'last' } },
      }),
    ],
    [
      'a source by lane number',
      withNodes({
        id: 'a',
        edit: 'add',
        at: { point: 'embed' },
        tokens: 'all',
        vector: { from: { lane: 0, point: 'embed', tokens: 'last' } },
      }),
    ],
    ['a gate on a read that comes later in the list', withNodes({ ...scale, when: { read: 'r', below: 0 } }, norm)],
    ['a one-row vector by name', withNodes({ id: 'a', edit: 'add', at: z, tokens: 'all', vector: 'u' })],
    ['selectors at the depth limit', withNodes({ ...scale, tokens: nested(graphLimits.selectorDepth) })],
    ['a range that crosses the end of the prompt', withNodes({ ...scale, tokens: { from: 3, to: -1 } })],
  ])('%s', (_, document) => {
    expect(parseGraph(document)).toEqual(document);
  });
});

function nested(depth: number): unknown {
  let selector: unknown = 'all';
  for (let i = 0; i < depth; i++) selector = i % 2 === 0 ? { not: selector } : { any: [selector] };
  return selector;
}

describe('documents that are refused', () => {
  it.each<[string, unknown, string]>([
    ['null', null, 'the document'],
    ['a list', [], 'tiller'],
    ['another version', { tiller: 2, model: shape, nodes: [] }, 'tiller'],
    ['an unknown key', { tiller: 1, model: shape, nodes: [], note: '' }, 'note'],
    [
      'a key that every object inherits',
      JSON.parse(`{"tiller":1,"model":${JSON.stringify(shape)},"nodes":[],"__proto__":{}}`),
      '__proto__',
    ],
    ['another inherited key', { tiller: 1, model: shape, nodes: [], toString: 1 }, 'toString'],
    ['a model without headDim', { tiller: 1, model: { ...shape, headDim: undefined }, nodes: [] }, 'model.headDim'],
    ['a model of zero layers', { tiller: 1, model: { ...shape, layers: 0 }, nodes: [] }, 'model.layers'],
    ['nodes that are no list', { tiller: 1, model: shape, nodes: {} }, 'nodes'],
    ['vectors that are a list', { tiller: 1, model: shape, vectors: [], nodes: [] }, 'vectors'],
    [
      'a vector of three dimensions',
      { tiller: 1, model: shape, vectors: { t: { shape: [1, 1, 1], sha256 } }, nodes: [] },
      'vectors.t.shape',
    ],
    ['a vector of width 0', { tiller: 1, model: shape, vectors: { t: { shape: [0], data: [] } }, nodes: [] }, 'vectors.t.shape'],
    ['too little data', { tiller: 1, model: shape, vectors: { t: { shape: [2], data: [1] } }, nodes: [] }, 'vectors.t'],
    ['data beyond f32', { tiller: 1, model: shape, vectors: { t: { shape: [1], data: [1e39] } }, nodes: [] }, 'vectors.t.data[0]'],
    ['data and hash', { tiller: 1, model: shape, vectors: { t: { shape: [1], data: [1], sha256 } }, nodes: [] }, 'vectors.t.sha256'],
    [
      'an upper-case hash',
      { tiller: 1, model: shape, vectors: { t: { shape: [1], sha256: 'A'.repeat(64) } }, nodes: [] },
      'vectors.t.sha256',
    ],
    [
      'a reserved vector name',
      { tiller: 1, model: shape, vectors: { __metadata__: { shape: [1], sha256 } }, nodes: [] },
      'vectors.__metadata__',
    ],
    [
      'a vector name that valibot drops',
      JSON.parse(`{"tiller":1,"model":${JSON.stringify(shape)},"vectors":{"__proto__":{}},"nodes":[]}`),
      'vectors.__proto__',
    ],
    ['an unknown edit', withNodes({ ...scale, edit: 'replace' }), 'nodes[0].edit'],
    ['an unknown read', withNodes({ ...norm, read: 'max' }), 'nodes[0].read'],
    ['neither edit nor read', withNodes({ id: 'a', at: z, tokens: 'all' }), 'nodes[0]'],
    ['both edit and read', withNodes({ ...scale, read: 'norm' }), 'nodes[0].read'],
    ['no tokens', withNodes({ id: 'a', edit: 'scale', at: z }), 'nodes[0].tokens'],
    ['no id', withNodes({ ...scale, id: undefined }), 'nodes[0].id'],
    ['an empty id', withNodes({ ...scale, id: '' }), 'nodes[0].id'],
    ['the id *', withNodes({ ...scale, id: '*' }), 'nodes[0].id'],
    ['a long id', withNodes({ ...scale, id: 'x'.repeat(graphLimits.idLength + 1) }), 'nodes[0].id'],
    ['half a character', withNodes({ ...scale, id: '\ud800' }), 'nodes[0].id'],
    ['an id twice', withNodes(scale, norm, scale), 'nodes[2].id'],
    ['an unknown point', withNodes({ ...scale, at: { point: 'mid', layer: 0 } }), 'nodes[0].at.point'],
    ['no layer', withNodes({ ...scale, at: { point: 'z' } }), 'nodes[0].at.layer'],
    ['a layer where there is none', withNodes({ ...scale, at: { point: 'logits', layer: 0 } }), 'nodes[0].at.layer'],
    ['a head where there is none', withNodes({ ...scale, at: { point: 'resid_mid', layer: 0, head: 0 } }), 'nodes[0].at.head'],
    ['a negative layer', withNodes({ ...scale, at: { point: 'z', layer: -1 } }), 'nodes[0].at.layer'],
    ['half a head', withNodes({ ...scale, at: { point: 'z', layer: 0, head: 0.5 } }), 'nodes[0].at.head'],
    ['a strength that is no number', withNodes({ ...scale, strength: '1' }), 'nodes[0].strength'],
    ['a strength that is NaN', withNodes({ ...scale, strength: NaN }), 'nodes[0].strength'],
    ['an infinite strength', withNodes({ ...scale, strength: Infinity }), 'nodes[0].strength'],
    ['add without a vector', withNodes({ ...scale, edit: 'add' }), 'nodes[0].vector'],
    ['ablate without a vector', withNodes({ ...scale, edit: 'ablate' }), 'nodes[0].vector'],
    ['scale with a vector', withNodes({ ...scale, vector: 'u' }), 'nodes[0].vector'],
    ['add with a mask', withNodes({ ...scale, edit: 'add', vector: 'u', mask: 'u' }), 'nodes[0].mask'],
    ['clamp with a source', withNodes({ ...scale, edit: 'clamp', vector: { from: { lane: 0, ...z, tokens: 'all' } } }), 'nodes[0].vector'],
    [
      'a source without a layer',
      withNodes({ ...scale, edit: 'set', vector: { from: { lane: 0, point: 'z', tokens: 'all' } } }),
      'nodes[0].vector.from.layer',
    ],
    [
      'a negative source lane',
      withNodes({ ...scale, edit: 'set', vector: { from: { lane: -1, ...z, tokens: 'all' } } }),
      'nodes[0].vector.from.lane',
    ],
    ['an unknown vector', withNodes({ ...scale, mask: 'w' }), 'nodes[0].mask'],
    ['a vector named like a method', withNodes({ ...scale, mask: 'valueOf' }), 'nodes[0].mask'],
    ['a row too far', withNodes({ ...scale, mask: ['t', 2] }), 'nodes[0].mask'],
    ['the whole of a two-row vector', withNodes({ ...scale, mask: 't' }), 'nodes[0].mask'],
    ['norm with a vector', withNodes({ ...norm, vector: 'u' }), 'nodes[0].vector'],
    ['dot without a vector', withNodes({ ...norm, read: 'dot' }), 'nodes[0].vector'],
    ['a gated read', withNodes({ ...norm, when: { read: 'r', above: 0 } }), 'nodes[0].when'],
    ['a gate without a bound', withNodes(norm, { ...scale, when: { read: 'r' } }), 'nodes[1].when'],
    ['a gate that never opens', withNodes(norm, { ...scale, when: { read: 'r', above: 2, below: 1 } }), 'nodes[1].when'],
    ['a gate on nothing', withNodes(norm, { ...scale, when: { read: 's', above: 2 } }), 'nodes[1].when.read'],
    ['a gate on an edit', withNodes(scale, { ...scale, id: 'b', when: { read: 'a', above: 2 } }), 'nodes[1].when.read'],
    ['a gate with an unknown hold', withNodes(norm, { ...scale, when: { read: 'r', above: 2, hold: 'first' } }), 'nodes[1].when.hold'],
    ['an unknown selector word', withNodes({ ...scale, tokens: 'every' }), 'nodes[0].tokens'],
    ['an unknown selector', withNodes({ ...scale, tokens: { any: [{ not: { word: 1 } }] } }), 'nodes[0].tokens.any[0].not.word'],
    ['an empty selector', withNodes({ ...scale, tokens: {} }), 'nodes[0].tokens'],
    ['a list as selector', withNodes({ ...scale, tokens: [] }), 'nodes[0].tokens'],
    ['two selectors in one', withNodes({ ...scale, tokens: { at: [0], ids: [1] } }), 'nodes[0].tokens.ids'],
    ['a backward range', withNodes({ ...scale, tokens: { from: 3, to: 2 } }), 'nodes[0].tokens'],
    ['a backward range from the end', withNodes({ ...scale, tokens: { from: -2, to: -3 } }), 'nodes[0].tokens'],
    ['a negative position', withNodes({ ...scale, tokens: { at: [-1] } }), 'nodes[0].tokens.at[0]'],
    ['a negative token id', withNodes({ ...scale, tokens: { ids: [-1] } }), 'nodes[0].tokens.ids[0]'],
    ['an unknown role', withNodes({ ...scale, tokens: { role: 'tool' } }), 'nodes[0].tokens.role'],
  ])('%s', (_, document, path) => {
    const error = problem(document);
    expect(error.code).toBe('graph/invalid');
    expect(error.details['path']).toBe(path);
    expect(error.details['problem']).not.toMatch(/Invalid (type|key|value)|undefined/);
  });

  it('names what would have been right', () => {
    expect(problem(withNodes({ ...scale, edit: 'replace' })).message).toContain('"add", "scale", "ablate", "clamp", "cap", "set"');
    expect(problem(withNodes({ ...scale, at: { point: 'mid', layer: 0 } })).message).toContain('"resid_mid"');
  });

  it.each<[string, unknown]>([
    ['too many nodes', withNodes(...Array<unknown>(graphLimits.nodes + 1).fill(scale))],
    ['selectors too deep', withNodes({ ...scale, tokens: nested(graphLimits.selectorDepth + 1) })],
    ['deep JSON', withNodes({ ...scale, tokens: JSON.parse('{"not":'.repeat(100_000) + '1' + '}'.repeat(100_000)) as unknown })],
    ['deep lists where none belong', { tiller: JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as unknown }],
    [
      'too much inline data',
      {
        tiller: 1,
        model: shape,
        vectors: { t: { shape: [graphLimits.inlineNumbers + 1], data: Array<number>(graphLimits.inlineNumbers + 1).fill(0) } },
        nodes: [],
      },
    ],
    ['a document that holds itself', cyclic()],
    ['a small object reached 2^40 times', shared()],
  ])('%s', (_, document) => {
    expect(problem(document).code).toBe('graph/too-large');
  });

  it('anything at all: only named errors come out', () => {
    const attempt = (value: unknown): void => {
      try {
        parseGraph(value);
      } catch (error) {
        if (!(error instanceof TillerError)) throw error;
        expect(['graph/invalid', 'graph/too-large']).toContain(error.code);
      }
    };
    fc.assert(fc.property(fc.jsonValue(), attempt));
    fc.assert(fc.property(fc.anything(), attempt));
  });

  it('a valid document with one value replaced: only named errors come out', () => {
    fc.assert(
      fc.property(graphDocument, fc.nat(), fc.jsonValue(), (document, seed, value) => {
        const copy = JSON.parse(JSON.stringify(document)) as unknown;
        const places: { parent: Record<string, unknown>; key: string }[] = [];
        const visit = (parent: unknown): void => {
          if (typeof parent !== 'object' || parent === null) return;
          for (const key of Object.keys(parent)) {
            places.push({ parent: parent as Record<string, unknown>, key });
            visit((parent as Record<string, unknown>)[key]);
          }
        };
        visit(copy);
        const { parent, key } = places[seed % places.length];
        parent[key] = value;
        try {
          parseGraph(copy);
        } catch (error) {
          if (!(error instanceof TillerError)) throw error;
        }
      }),
    );
  });
});

function cyclic(): unknown {
  const document: Record<string, unknown> = { tiller: 1 };
  document['model'] = document;
  return document;
}

function shared(): unknown {
  let selector: unknown = 'all';
  for (let i = 0; i < 40; i++) selector = { any: [selector, selector] };
  return withNodes({ ...scale, tokens: selector });
}
