import fc from 'fast-check';
import type { At, EditNode, GraphDocument, GraphNode, ReadNode, Role, Selector, VectorRef } from '../../src/graph/document.ts';
import { points, pointWidth, type ModelShape } from '../../src/graph/points.ts';

/** Random intervention graphs for property tests: valid documents whose gates and vectors fit, over one small shape. */

export const shape: ModelShape = { family: 'llama', layers: 3, heads: 4, kvHeads: 2, headDim: 4, hidden: 12, intermediate: 20 };
export const vocab = 30;

export const roles: readonly Role[] = ['user', 'assistant', 'system', 'template'];

export const selector = (depth = 3): fc.Arbitrary<Selector> => {
  const position = fc.integer({ min: 0, max: 14 });
  const leaf: fc.Arbitrary<Selector> = fc.oneof(
    fc.constantFrom<Selector>('all', 'none', 'prompt', 'last', 'generated', 'answer'),
    fc.record({ from: fc.integer({ min: -14, max: 14 }) }),
    fc.record({ to: fc.integer({ min: -14, max: 14 }) }),
    fc
      .tuple(fc.integer({ min: -14, max: 14 }), fc.integer({ min: -14, max: 14 }))
      .map(([a, b]) => (a < 0 !== b < 0 ? { from: a, to: b } : { from: Math.min(a, b), to: Math.max(a, b) })),
    fc.record({ at: fc.array(position, { maxLength: 4 }) }),
    fc.record({ role: fc.constantFrom(...roles) }),
    fc.record({ ids: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }) }),
  );
  if (depth === 0) return leaf;
  const inner = selector(depth - 1);
  return fc.oneof(
    { weight: 3, arbitrary: leaf },
    { weight: 1, arbitrary: fc.record({ any: fc.array(inner, { maxLength: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ all: fc.array(inner, { maxLength: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ not: inner }) },
  );
};

const at: fc.Arbitrary<At> = fc
  .tuple(fc.constantFrom(...points), fc.nat({ max: shape.layers - 1 }), fc.option(fc.nat({ max: shape.kvHeads - 1 }), { nil: undefined }))
  .map(([row, layer, head]) => ({
    point: row.point,
    ...(row.perLayer ? { layer } : {}),
    ...(row.heads !== null && head !== undefined ? { head } : {}),
  }));

export const widthAt = (place: At): number => (place.head === undefined ? pointWidth(place.point, shape, vocab) : shape.headDim);

const f32 = fc.float({ noNaN: true, noDefaultInfinity: true, min: -8, max: 8 }).map((x) => Math.fround(x) + 0);

interface Part {
  readonly node: GraphNode;
  readonly vectors: Readonly<Record<string, { shape: number[]; data: number[] }>>;
}

/** A row of a fresh vector of the right width: sometimes a one-row vector by name, sometimes the second row of two. */
const rowFor = (name: string, width: number): fc.Arbitrary<{ ref: VectorRef; vector: { shape: number[]; data: number[] } }> =>
  fc.tuple(fc.boolean(), fc.array(f32, { minLength: 2 * width, maxLength: 2 * width })).map(([single, data]) => {
    const filled = data.map((x, i) => (i % width === 0 ? 1 + Math.abs(x) : x));
    return single
      ? { ref: name, vector: { shape: [width], data: filled.slice(0, width) } }
      : { ref: [name, 1] as const, vector: { shape: [2, width], data: filled } };
  });

const gateRead = 'first';
const when = fc.option(
  fc.record(
    { read: fc.constant(gateRead), above: f32, hold: fc.constantFrom<'each' | 'last'>('each', 'last') },
    { requiredKeys: ['read', 'above'] },
  ),
  { nil: undefined },
);

const editPart = (index: number): fc.Arbitrary<Part> =>
  fc
    .tuple(
      fc.constantFrom(...(['add', 'scale', 'ablate', 'clamp', 'cap', 'set'] as const)),
      at,
      selector(2),
      fc.option(f32, { nil: undefined }),
      when,
    )
    .chain(([edit, place, tokens, strength, gate]) =>
      rowFor(`v${index}`, widthAt(place)).map(({ ref, vector }) => {
        const node: EditNode = {
          id: `e${index}`,
          edit,
          at: place,
          tokens,
          ...(strength === undefined ? {} : { strength }),
          ...(gate === undefined || place.point === 'embed' ? {} : { when: gate }),
          ...(edit === 'scale' ? { mask: ref } : { vector: ref }),
        };
        return { node, vectors: { [`v${index}`]: vector } };
      }),
    );

const readPart = (index: number): fc.Arbitrary<Part> =>
  fc.tuple(fc.constantFrom(...(['dot', 'cosine', 'norm'] as const)), at, selector(1)).chain(([read, place, tokens]) =>
    rowFor(`v${index}`, widthAt(place)).map(({ ref, vector }) => {
      const node: ReadNode = { id: `r${index}`, read, at: place, tokens, ...(read === 'norm' ? {} : { vector: ref }) };
      return { node, vectors: { [`v${index}`]: vector } };
    }),
  );

/** Valid documents with inline vectors; nodes[0] is the read that gates name. */
export const graphDocument: fc.Arbitrary<GraphDocument> = fc
  .array(fc.boolean(), { maxLength: 5 })
  .chain((kinds) => fc.tuple(fc.constant(kinds), ...kinds.map((isEdit, index) => (isEdit ? editPart(index) : readPart(index)))))
  .map(([, ...parts]) => {
    const first: ReadNode = { id: gateRead, read: 'norm', at: { point: 'embed' }, tokens: 'all' };
    const vectors = Object.assign({}, ...parts.map((part) => part.vectors)) as NonNullable<GraphDocument['vectors']>;
    return {
      tiller: 1,
      model: shape,
      ...(parts.length === 0 ? {} : { vectors }),
      nodes: [first, ...parts.map((part) => part.node)],
    };
  });
