import { TillerError } from '../../errors/error.ts';
import { canonicalJson, canonicalSelector } from '../../graph/canonical.ts';
import type { At, BoundGraph, EditNode, Lane, Selector } from '../../graph/document.ts';
import { isSource, rowRef } from '../../graph/references.ts';

/** One `add` of a graph with its strength multiplied in. */
export interface PlainAddition {
  readonly id: string;
  readonly at: At;
  readonly tokens: Selector;
  readonly vector: Float32Array;
}

const refuse = (format: string, problem: string): never => {
  throw new TillerError('vectors/export', { format, problem });
};

/** The vector of an edit, as wide as the edit's place. */
export function vectorOf(graph: BoundGraph, node: EditNode): Float32Array | null {
  if (node.vector === undefined || isSource(node.vector)) return null;
  const { name, row } = rowRef(node.vector);
  const { shape, data } = graph.vectors[name];
  const width = shape[shape.length - 1];
  return data.subarray(row * width, (row + 1) * width);
}

/**
 * A graph as a list of additions, which is all that files of steering vectors hold.
 * @param strengths factors on the edits' strengths, as a lane has them; edits of factor 0 are left out. @default 1 for all
 * @throws vectors/export for an edit other than `add`, a gate, a source, or nothing to write
 */
export function plainAdditions(format: string, graph: BoundGraph, strengths: Lane['strengths'] = { '*': 1 }): PlainAddition[] {
  const list: PlainAddition[] = [];
  for (const node of graph.document.nodes) {
    if (!('edit' in node)) continue;
    const factor = (node.strength ?? 1) * (strengths[node.id] ?? strengths['*'] ?? 0);
    if (factor === 0) continue;
    if (node.edit !== 'add') refuse(format, `node "${node.id}" is the edit "${node.edit}", and only "add" can be written`);
    if (node.when) refuse(format, `node "${node.id}" has a gate`);
    const vector = vectorOf(graph, node);
    if (!vector) return refuse(format, `node "${node.id}" takes its vector from another lane`);
    list.push({ id: node.id, at: node.at, tokens: node.tokens, vector: vector.map((value) => value * factor) });
  }
  return list.length > 0 ? list : refuse(format, 'no edit of it has a strength other than 0');
}

/** A sentence where tokens other than all are meant, for formats that cannot say which. */
export function tokenNote(list: readonly PlainAddition[], elsewhere: string): string[] {
  const named = new Set(list.map(({ tokens }) => canonicalJson(canonicalSelector(tokens))));
  named.delete('"all"');
  return named.size === 0 ? [] : [`The graph adds at the tokens ${[...named].join(', ')}; ${elsewhere}`];
}
