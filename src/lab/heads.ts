import type { BoundGraph, EditNode, GraphNode, Selector, Vector } from '../graph/document.ts';
import { vectorHash } from '../graph/hash.ts';
import type { ModelShape } from '../graph/points.ts';
import { hasDirection, paletteRow, type Palette } from './palette.ts';

/**
 * The head map's view of an intervention graph. The graph is the truth; the map shows and edits those of its nodes that add
 * a stored vector to one head's output at every selected token. All other nodes are kept as they are.
 */

/** A node that the head map can draw: `add` at `z` of one head, a stored vector, no gate. */
export const isHeadNode = (node: GraphNode): node is EditNode =>
  'edit' in node &&
  node.edit === 'add' &&
  node.at.point === 'z' &&
  node.at.layer !== undefined &&
  node.at.head !== undefined &&
  node.when === undefined &&
  node.vector !== undefined &&
  (typeof node.vector === 'string' || Array.isArray(node.vector));

export const headNodes = (graph: BoundGraph | null): EditNode[] => graph?.document.nodes.filter(isHeadNode) ?? [];
export const otherNodes = (graph: BoundGraph | null): GraphNode[] => graph?.document.nodes.filter((node) => !isHeadNode(node)) ?? [];

/** Row number of a head in a map: layer * heads + head. */
export const rowOf = (shape: ModelShape, layer: number, head: number): number => layer * shape.heads + head;

/** Strength by row number of every head the graph adds to; several nodes on one head are summed for display. */
export function headStrengths(graph: BoundGraph | null): Map<number, number> {
  const strengths = new Map<number, number>();
  if (!graph) return strengths;
  for (const node of headNodes(graph)) {
    const row = rowOf(graph.document.model, node.at.layer as number, node.at.head as number);
    strengths.set(row, (strengths.get(row) ?? 0) + (node.strength ?? 1));
  }
  return strengths;
}

export interface HeadChange {
  readonly layer: number;
  readonly head: number;
  /** null takes the head out of the graph. */
  readonly strength: number | null;
}

/** Drops vectors that no node uses, and gives null for a graph without nodes. */
function tidy(graph: BoundGraph): BoundGraph | null {
  if (graph.document.nodes.length === 0) return null;
  const used = new Set<string>();
  for (const node of graph.document.nodes) {
    for (const ref of [node.vector, 'mask' in node ? node.mask : undefined]) {
      if (typeof ref === 'string') used.add(ref);
      else if (Array.isArray(ref)) used.add(String(ref[0]));
    }
  }
  const keep = <T>(table: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(table).filter(([name]) => used.has(name)));
  return { document: { ...graph.document, vectors: keep(graph.document.vectors ?? {}) }, vectors: keep(graph.vectors) };
}

const shapeOnly = (shape: ModelShape): ModelShape => ({
  family: shape.family,
  layers: shape.layers,
  heads: shape.heads,
  kvHeads: shape.kvHeads,
  headDim: shape.headDim,
  hidden: shape.hidden,
  intermediate: shape.intermediate,
});

const freeName = (taken: ReadonlySet<string>, wanted: string): string => {
  let name = wanted;
  for (let i = 2; taken.has(name); i += 1) name = `${wanted}.${i}`;
  return name;
};

/**
 * The graph with heads added, changed or taken out. New heads take their vector from the palette; a head without a direction
 * is left alone. Existing nodes keep their place, because order can matter; a new head goes before the next higher one.
 */
export function setHeads(
  graph: BoundGraph | null,
  shape: ModelShape,
  palette: Palette | null,
  tokens: Selector,
  changes: readonly HeadChange[],
): BoundGraph | null {
  const vectors: Record<string, Vector> = { ...graph?.vectors };
  const stored = { ...graph?.document.vectors };
  const ids = new Set(graph?.document.nodes.map((node) => node.id));
  const names = new Set(Object.keys(stored));
  const row = (node: EditNode): number => rowOf(shape, node.at.layer as number, node.at.head as number);
  let nodes: GraphNode[] = [...(graph?.document.nodes ?? [])];

  for (const { layer, head, strength } of changes) {
    const wanted = rowOf(shape, layer, head);
    const existing = nodes.filter(isHeadNode).filter((node) => row(node) === wanted);
    if (strength === null) nodes = nodes.filter((node) => !isHeadNode(node) || row(node) !== wanted);
    else if (existing.length > 0) {
      nodes = nodes.map((node) =>
        !isHeadNode(node) || row(node) !== wanted ? node : { ...node, strength: node === existing[0] ? strength : 0 },
      );
    } else if (palette && hasDirection(palette, layer, head)) {
      const data = Float32Array.from(paletteRow(palette, layer, head));
      const name = freeName(names, `h${layer}.${head}`);
      const id = freeName(ids, `h${layer}.${head}`);
      names.add(name);
      ids.add(id);
      vectors[name] = { shape: [data.length], data };
      stored[name] = { shape: [data.length], sha256: vectorHash({ data }) };
      const node: EditNode = { id, edit: 'add', at: { point: 'z', layer, head }, tokens, strength, vector: name };
      const next = nodes.findIndex((other) => isHeadNode(other) && row(other) > wanted);
      nodes.splice(next < 0 ? nodes.length : next, 0, node);
    }
  }
  const document = { ...(graph?.document ?? { tiller: 1 as const, model: shapeOnly(shape) }), vectors: stored, nodes };
  return tidy({ document, vectors });
}

/** The same heads and strengths with the vectors of another palette; heads without a direction there are taken out. */
export function repaint(graph: BoundGraph | null, palette: Palette, tokens: Selector): BoundGraph | null {
  if (!graph) return null;
  const shape = graph.document.model;
  const strengths = headStrengths(graph);
  const changes = [...strengths].map(([row, strength]) => ({ layer: Math.floor(row / shape.heads), head: row % shape.heads, strength }));
  const bare = setHeads(
    graph,
    shape,
    null,
    tokens,
    changes.map((change) => ({ ...change, strength: null })),
  );
  return setHeads(bare, shape, palette, tokens, changes);
}

/** Which tokens the map's heads are steered at; other nodes keep their own selectors. */
export function retoken(graph: BoundGraph | null, tokens: Selector): BoundGraph | null {
  if (!graph) return null;
  const nodes = graph.document.nodes.map((node) => (isHeadNode(node) ? { ...node, tokens } : node));
  return { ...graph, document: { ...graph.document, nodes } };
}

/** The graph without one node. */
export const withoutNode = (graph: BoundGraph, id: string): BoundGraph | null =>
  tidy({ ...graph, document: { ...graph.document, nodes: graph.document.nodes.filter((node) => node.id !== id) } });

/** The rows of a rectangle between two heads, both included, in any direction. */
export function rectangle(shape: ModelShape, from: number, to: number): number[] {
  const [l0, l1] = [Math.floor(from / shape.heads), Math.floor(to / shape.heads)].sort((a, b) => a - b);
  const [h0, h1] = [from % shape.heads, to % shape.heads].sort((a, b) => a - b);
  const rows: number[] = [];
  for (let layer = l0; layer <= l1; layer += 1) for (let head = h0; head <= h1; head += 1) rows.push(layer * shape.heads + head);
  return rows;
}
