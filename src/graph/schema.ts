import * as v from 'valibot';
import { TillerError } from '../errors/error.ts';
import type { GraphDocument, Selector, SourceRef, VectorRef } from './document.ts';
import { describeIssue, invalid } from './invalid.ts';
import { f32Max, graphLimits } from './limits.ts';
import { points, type PointName, type PointRow } from './points.ts';
import { checkReferences } from './references.ts';
import { checkSize } from './size.ts';

/**
 * The schema of docs/graph.md. Strict throughout: an unknown key, edit, point or selector is an error with its place.
 * Alternatives are chosen by looking at the input (the `lazy` getters), because "none of these seven fits" helps nobody;
 * called without input a getter gives the whole union, which is what the published JSON Schema shows.
 */

const f32 = v.pipe(v.number(), v.minValue(-f32Max), v.maxValue(f32Max));
const integer = (low: number, high: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));
const dimension = integer(1, graphLimits.dimension);
const ordinal = integer(0, graphLimits.dimension);
const position = integer(0, graphLimits.index);
const wellFormed = v.check((text: string) => !/\p{Surrogate}/u.test(text), 'has a surrogate without its pair');
const label = v.pipe(v.string(), v.maxLength(graphLimits.nameLength), wellFormed);

/** '*' means "the rest" in a lane's strengths, and `__proto__` cannot be a key of a plain record. */
const nodeId = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(graphLimits.idLength),
  wellFormed,
  v.check((id) => id !== '*' && id !== '__proto__', 'is a reserved name'),
);
const reservedVectorNames = new Set(['__proto__', '__metadata__', 'constructor', 'prototype']);
const vectorName = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(graphLimits.nameLength),
  wellFormed,
  v.check((name) => !reservedVectorNames.has(name), 'is a reserved name'),
);

const isObject = (input: unknown): input is Record<string, unknown> => typeof input === 'object' && input !== null && !Array.isArray(input);

// --- tokens ---------------------------------------------------------------------------------------------------------

const selectorWord = v.picklist(['all', 'none', 'prompt', 'last', 'generated', 'answer']);
const edge = integer(-graphLimits.index, graphLimits.index);
const range = v.pipe(
  v.strictObject({ from: v.optional(edge), to: v.optional(edge) }),
  v.check(({ from, to }) => from !== undefined || to !== undefined, 'needs "from", "to" or both; "all" selects everything'),
  v.check(
    ({ from, to }) => from === undefined || to === undefined || from < 0 !== to < 0 || from <= to,
    '"from" comes after "to", so nothing can ever be selected',
  ),
);
const selectorSchema: v.GenericSchema<Selector> = v.lazy((input) => {
  if (input === undefined) return v.union([selectorWord, range, ...Object.values(selectorObjects)]);
  if (!isObject(input)) return selectorWord;
  for (const [key, schema] of Object.entries(selectorObjects)) if (Object.hasOwn(input, key)) return schema;
  return range;
});
const selectorObjects = {
  at: v.strictObject({ at: v.array(position) }),
  role: v.strictObject({ role: v.picklist(['user', 'assistant', 'system', 'template']) }),
  ids: v.strictObject({ ids: v.array(position) }),
  any: v.strictObject({ any: v.array(selectorSchema) }),
  all: v.strictObject({ all: v.array(selectorSchema) }),
  not: v.strictObject({ not: selectorSchema }),
};

// --- places ---------------------------------------------------------------------------------------------------------

const rows: readonly PointRow[] = points;
const pointsWhere = (test: (row: PointRow) => boolean): v.PicklistSchema<readonly PointName[], undefined> =>
  v.picklist(rows.filter(test).map((row) => row.point as PointName));
const withHeads = pointsWhere((row) => row.perLayer && row.heads !== null);
const withLayer = pointsWhere((row) => row.perLayer && row.heads === null);
const withoutLayer = pointsWhere((row) => !row.perLayer);

const at = v.variant('point', [
  v.strictObject({ point: withHeads, layer: ordinal, head: v.optional(ordinal) }),
  v.strictObject({ point: withLayer, layer: ordinal }),
  v.strictObject({ point: withoutLayer }),
]);

// --- vectors --------------------------------------------------------------------------------------------------------

const vectorRow = v.strictTuple([vectorName, ordinal]);
const lane = v.union([label, integer(0, graphLimits.index)], 'expected the name or the number of a lane');
const source = v.strictObject({
  from: v.variant('point', [
    v.strictObject({ lane, point: withHeads, layer: ordinal, head: v.optional(ordinal), tokens: selectorSchema }),
    v.strictObject({ lane, point: withLayer, layer: ordinal, tokens: selectorSchema }),
    v.strictObject({ lane, point: withoutLayer, tokens: selectorSchema }),
  ]),
});
const vectorRef: v.GenericSchema<VectorRef> = v.lazy((input) => {
  if (input === undefined) return v.union([vectorName, vectorRow]);
  return Array.isArray(input) ? vectorRow : vectorName;
});
const vectorOrSource: v.GenericSchema<VectorRef | SourceRef> = v.lazy((input) => {
  if (input === undefined) return v.union([vectorName, vectorRow, source]);
  return isObject(input) ? source : vectorRef;
});

const shape = v.union(
  [v.strictTuple([dimension]), v.strictTuple([dimension, dimension])],
  'expected [width] or [rows, width], whole numbers from 1 up',
);
const inlineVector = v.pipe(
  v.strictObject({ shape, data: v.array(f32) }),
  v.check(
    ({ shape, data }) => data.length === shape.reduce<number>((product, n) => product * n, 1),
    'the length of "data" is not the product of "shape"',
  ),
);
const storedVector = v.strictObject({
  shape,
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits')),
});
const vector = v.lazy((input) => {
  if (input === undefined) return v.union([storedVector, inlineVector]);
  return isObject(input) && Object.hasOwn(input, 'data') ? inlineVector : storedVector;
});

// --- nodes ----------------------------------------------------------------------------------------------------------

const gate = v.pipe(
  v.strictObject({ read: nodeId, above: v.optional(f32), below: v.optional(f32), hold: v.optional(v.picklist(['each', 'last'])) }),
  v.check(({ above, below }) => above !== undefined || below !== undefined, 'needs "above", "below" or both'),
  v.check(
    ({ above, below }) => above === undefined || below === undefined || above < below,
    '"above" is not less than "below", so the gate can never open',
  ),
);

const common = { id: nodeId, at, tokens: selectorSchema };
const acting = { ...common, strength: v.optional(f32), when: v.optional(gate) };
const edit = v.variant('edit', [
  v.strictObject({ ...acting, edit: v.literal('add'), vector: vectorOrSource }),
  v.strictObject({ ...acting, edit: v.literal('scale'), mask: v.optional(vectorRef) }),
  v.strictObject({ ...acting, edit: v.literal('ablate'), vector: vectorRef }),
  v.strictObject({ ...acting, edit: v.literal('clamp'), vector: vectorRef }),
  v.strictObject({ ...acting, edit: v.literal('cap'), vector: vectorRef }),
  v.strictObject({ ...acting, edit: v.literal('set'), vector: v.optional(vectorOrSource) }),
]);
const read = v.variant('read', [
  v.strictObject({ ...common, read: v.literal('dot'), vector: vectorRef }),
  v.strictObject({ ...common, read: v.literal('cosine'), vector: vectorRef }),
  v.strictObject({ ...common, read: v.literal('norm') }),
]);
const neither = v.custom<never>(() => false, 'needs "edit" or "read"');
const node = v.lazy((input) => {
  if (input === undefined) return v.union([edit, read]);
  if (!isObject(input) || Object.hasOwn(input, 'edit')) return edit;
  return Object.hasOwn(input, 'read') ? read : neither;
});

// --- document -------------------------------------------------------------------------------------------------------

const model = v.strictObject({
  family: v.pipe(v.string(), v.minLength(1), v.maxLength(graphLimits.nameLength), wellFormed),
  layers: dimension,
  heads: dimension,
  kvHeads: dimension,
  headDim: dimension,
  hidden: dimension,
  intermediate: dimension,
});

export const graphSchema = v.strictObject({
  tiller: v.literal(1),
  name: v.optional(label),
  model,
  vectors: v.optional(v.record(vectorName, vector)),
  nodes: v.pipe(v.array(node), v.maxLength(graphLimits.nodes)),
});

/** Parts of the schema that the published JSON Schema names. */
export const graphSchemaParts = {
  number: f32,
  selector: selectorSchema,
  at,
  gate,
  source,
  vector,
  vectorRef,
  vectorOrSource,
  edit,
  read,
  node,
};

/**
 * A document from parsed JSON, or the first problem with its place.
 * @throws graph/invalid with `path` (as `nodes[3].at.layer`) and `problem`; graph/too-large where a count or depth exceeds graphLimits.
 */
export function parseGraph(value: unknown): GraphDocument {
  checkSize(value);
  const result = v.safeParse(graphSchema, value, { abortEarly: true });
  if (!result.success) throw new TillerError('graph/invalid', describeIssue(result.issues[0]));
  const document: GraphDocument = result.output;
  checkNames(value);
  checkReferences(document);
  return document;
}

/** valibot takes a list for a record, and leaves some names out of records in silence. */
function checkNames(value: unknown): void {
  const vectors = isObject(value) ? value['vectors'] : undefined;
  if (vectors === undefined) return;
  if (!isObject(vectors)) throw invalid(['vectors'], 'expected an object, got an array');
  for (const name of Object.keys(vectors)) if (reservedVectorNames.has(name)) throw invalid(['vectors', name], 'is a reserved name');
}
