import { canonicalize } from 'json-canonicalize';
import type { At, EditNode, Gate, GraphDocument, GraphNode, ReadNode, Selector, SourceRef, VectorRef } from './document.ts';
import { isSource, rowRef, rowsAndWidth } from './references.ts';
import { tensorSha256 } from './sha256.ts';

/**
 * The identity of a graph as a JSON value: everything that can change what runs and nothing else. `name` and ids are left out (a
 * gate names its read by position in `nodes`), vectors appear where they are used, by hash, shape and row, so that neither
 * their names, unused ones, nor inline against stored matter; defaults are written out.
 */
type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** RFC 8785. */
export const canonicalJson = (value: Json): string => canonicalize(value);

export function canonicalGraph(document: GraphDocument): Json {
  const { family, layers, heads, kvHeads, headDim, hidden, intermediate } = document.model;
  const position = new Map(document.nodes.map((node, index) => [node.id, index]));
  const hashes = new Map<string, string>();
  const vector = (ref: VectorRef): Json => {
    const { name, row } = rowRef(ref);
    const entry = document.vectors?.[name];
    if (!entry) throw new Error(`vector ${name} is not in the document`);
    let sha256 = 'sha256' in entry ? entry.sha256 : hashes.get(name);
    if (sha256 === undefined) hashes.set(name, (sha256 = tensorSha256(inlineData((entry as { data: readonly number[] }).data))));
    const { rows, width } = rowsAndWidth(entry.shape);
    return { sha256, shape: [rows, width], row };
  };
  const node = (given: GraphNode): Json => {
    const place = { at: at(given.at), tokens: canonicalSelector(given.tokens) };
    return 'edit' in given ? { ...place, ...editParts(given, vector, position) } : { ...place, ...readParts(given, vector) };
  };
  return {
    tiller: document.tiller,
    model: { family, layers, heads, kvHeads, headDim, hidden, intermediate },
    nodes: document.nodes.map(node),
  };
}

/** Inline numbers as the f32 they mean. JSON cannot tell -0 from 0, so there is only 0. */
export function inlineData(data: readonly number[]): Float32Array {
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) out[i] = Math.fround(data[i]) + 0;
  return out;
}

function editParts(node: EditNode, vector: (ref: VectorRef) => Json, position: ReadonlyMap<string, number>): Record<string, Json> {
  const parts: Record<string, Json> = { edit: node.edit, strength: node.strength ?? 1 };
  if (node.vector !== undefined) parts['vector'] = isSource(node.vector) ? source(node.vector) : vector(node.vector);
  if (node.mask !== undefined) parts['mask'] = vector(node.mask);
  if (node.when !== undefined) parts['when'] = gate(node.when, position);
  return parts;
}

function readParts(node: ReadNode, vector: (ref: VectorRef) => Json): Record<string, Json> {
  const parts: Record<string, Json> = { read: node.read };
  if (node.vector !== undefined) parts['vector'] = vector(node.vector);
  return parts;
}

function gate(when: Gate, position: ReadonlyMap<string, number>): Json {
  const read = position.get(when.read);
  if (read === undefined) throw new Error(`read ${when.read} is not in the document`);
  return { read, hold: when.hold ?? 'each', ...given({ above: when.above, below: when.below }) };
}

const at = ({ point, layer, head }: At): Record<string, Json> => ({ point, ...given({ layer, head }) });

const source = ({ from }: SourceRef): Json => ({ from: { ...at(from), lane: from.lane, tokens: canonicalSelector(from.tokens) } });

/** `at` and `ids` are sets, `from` starts at 0 unless given; beyond that a selector is what was written. */
export function canonicalSelector(selector: Selector): Json {
  if (typeof selector === 'string') return selector;
  if ('at' in selector) return { at: ascending(selector.at) };
  if ('ids' in selector) return { ids: ascending(selector.ids) };
  if ('role' in selector) return { role: selector.role };
  if ('any' in selector) return { any: selector.any.map(canonicalSelector) };
  if ('all' in selector) return { all: selector.all.map(canonicalSelector) };
  if ('not' in selector) return { not: canonicalSelector(selector.not) };
  return { from: selector.from ?? 0, ...given({ to: selector.to }) };
}

const ascending = (numbers: readonly number[]): number[] => [...new Set(numbers)].sort((a, b) => a - b);

function given(parts: Readonly<Record<string, number | undefined>>): Record<string, number> {
  return Object.fromEntries(Object.entries(parts).filter((entry): entry is [string, number] => entry[1] !== undefined));
}
