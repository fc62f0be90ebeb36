import type { GraphDocument, GraphNode, Selector, SourceRef, VectorRef } from './document.ts';
import { invalid, type Path } from './invalid.ts';
import { TillerError } from '../errors/error.ts';
import { graphLimits } from './limits.ts';

/** Row of a vector that a reference means. */
export interface RowRef {
  readonly name: string;
  readonly row: number;
}

export const isSource = (ref: VectorRef | SourceRef): ref is SourceRef => typeof ref === 'object' && !Array.isArray(ref);

/** `"t"` is row 0 of a one-row vector. */
export const rowRef = (ref: VectorRef): RowRef => (typeof ref === 'string' ? { name: ref, row: 0 } : { name: ref[0], row: ref[1] });

/** Shape of a vector as rows of a width: [width] has one row. */
export const rowsAndWidth = (shape: readonly number[]): { rows: number; width: number } =>
  shape.length === 1 ? { rows: 1, width: shape[0] } : { rows: shape[0], width: shape[1] };

/** Vector and mask references of a node, sources left out. */
export function vectorRefs(node: GraphNode): { readonly key: 'vector' | 'mask'; readonly ref: VectorRef }[] {
  const refs: { key: 'vector' | 'mask'; ref: VectorRef }[] = [];
  if (node.vector !== undefined && !isSource(node.vector)) refs.push({ key: 'vector', ref: node.vector });
  if ('edit' in node && node.mask !== undefined) refs.push({ key: 'mask', ref: node.mask });
  return refs;
}

/** What is wrong with a reference into `vectors`, or null. */
export function refProblem(document: GraphDocument, ref: VectorRef): string | null {
  const { name, row } = rowRef(ref);
  const vectors = document.vectors ?? {};
  if (!Object.hasOwn(vectors, name)) return `no vector is named "${name}"`;
  const { rows } = rowsAndWidth(vectors[name].shape);
  if (typeof ref === 'string' && rows !== 1) return `"${name}" has ${rows} rows; name one as ["${name}", row]`;
  if (row >= rows) return `row ${row} of "${name}" does not exist, it has ${rows}`;
  return null;
}

function selectorDepth(selector: Selector): number {
  if (typeof selector === 'string') return 0;
  if ('not' in selector) return 1 + selectorDepth(selector.not);
  const parts = 'any' in selector ? selector.any : 'all' in selector ? selector.all : null;
  return parts === null ? 0 : 1 + parts.reduce((deepest, part) => Math.max(deepest, selectorDepth(part)), 0);
}

function checkDepth(selector: Selector, path: Path): void {
  const depth = selectorDepth(selector);
  if (depth <= graphLimits.selectorDepth) return;
  throw new TillerError('graph/too-large', {
    what: `the nesting of the selector ${path.join('.')}`,
    got: depth,
    limit: graphLimits.selectorDepth,
  });
}

/**
 * What a schema of shapes cannot see: unique ids, gates that name a read, vectors that exist, rows in range, selector nesting.
 * @throws graph/invalid, graph/too-large
 */
export function checkReferences(document: GraphDocument): void {
  const reads = new Set<string>();
  const seen = new Map<string, number>();
  document.nodes.forEach((node, index) => {
    const earlier = seen.get(node.id);
    if (earlier !== undefined) throw invalid(['nodes', index, 'id'], `"${node.id}" is already the id of nodes[${earlier}]`);
    seen.set(node.id, index);
    if ('read' in node) reads.add(node.id);
  });
  document.nodes.forEach((node, index) => {
    checkDepth(node.tokens, ['nodes', index, 'tokens']);
    for (const { key, ref } of vectorRefs(node)) {
      const problem = refProblem(document, ref);
      if (problem !== null) throw invalid(['nodes', index, key], problem);
    }
    if (!('edit' in node)) return;
    if (node.vector !== undefined && isSource(node.vector))
      checkDepth(node.vector.from.tokens, ['nodes', index, 'vector', 'from', 'tokens']);
    if (node.when === undefined || reads.has(node.when.read)) return;
    const problem = seen.has(node.when.read) ? `"${node.when.read}" is an edit, not a read` : `no read has the id "${node.when.read}"`;
    throw invalid(['nodes', index, 'when', 'read'], problem);
  });
}
