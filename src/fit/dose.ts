import type { BoundGraph, GraphNode, SourceRef, Vector, VectorRef } from '../graph/document.ts';
import { buildGraph } from '../graph/vectors.ts';
import { laneStrengths } from '../methods/lane.ts';
import type { Fitted } from '../methods/method.ts';

/**
 * The graph of a fit with its first `count` places at `strength` times the method's dose: what factor 1 then means is this dose. Edits
 * without effect, readings that gate nothing and rows of vectors that nothing names are left out.
 * @param strength not 0: that is no graph
 */
export function doseGraph(fitted: Pick<Fitted, 'graph' | 'ranking' | 'chosen' | 'fixed'>, strength: number, count: number): BoundGraph {
  const { document, vectors } = fitted.graph;
  const factors = laneStrengths(fitted, strength, count);
  const edits = document.nodes.filter((node) => 'edit' in node && Object.hasOwn(factors, node.id));
  const gates = new Set(edits.flatMap((node) => ('edit' in node && node.when ? [node.when.read] : [])));
  const kept = document.nodes.filter((node) => edits.includes(node) || gates.has(node.id));
  const rows = new VectorRows(vectors);
  const nodes = kept.map((node): GraphNode => {
    const placed = {
      ...node,
      ...(node.vector === undefined ? {} : { vector: isSource(node.vector) ? node.vector : rows.move(node.vector) }),
      ...('edit' in node && node.mask !== undefined ? { mask: rows.move(node.mask) } : {}),
    } as GraphNode;
    return 'edit' in placed ? { ...placed, strength: Math.fround((placed.strength ?? 1) * factors[placed.id]) } : placed;
  });
  return buildGraph({
    ...(document.name === undefined ? {} : { name: document.name }),
    model: document.model,
    nodes,
    vectors: rows.tables(),
  });
}

const isSource = (ref: VectorRef | SourceRef): ref is SourceRef => typeof ref === 'object' && !Array.isArray(ref);

/** Rows that are still named, moved together. */
class VectorRows {
  readonly #rows = new Map<string, number[]>();

  constructor(private readonly vectors: BoundGraph['vectors']) {}

  move(ref: VectorRef): VectorRef {
    const [name, row] = typeof ref === 'string' ? [ref, 0] : ref;
    const rows = this.#rows.get(name) ?? [];
    this.#rows.set(name, rows);
    if (!rows.includes(row)) rows.push(row);
    return [name, rows.indexOf(row)];
  }

  tables(): Record<string, Vector> {
    return Object.fromEntries(
      [...this.#rows].map(([name, rows]) => {
        const { shape, data } = this.vectors[name];
        const width = shape[shape.length - 1];
        const moved = new Float32Array(rows.length * width);
        rows.forEach((row, index) => moved.set(data.subarray(row * width, (row + 1) * width), index * width));
        return [name, { shape: [rows.length, width], data: moved }];
      }),
    );
  }
}
