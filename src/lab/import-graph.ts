import type { BoundGraph, Selector, VectorRef } from '../graph/document.ts';
import { headNodes, rowOf } from './heads.ts';
import type { Palette } from './palette.ts';

/** The directions that a graph brings: heads that it steers can be taken out and put back, others have none. */
export function importedGraph(
  graph: BoundGraph,
  from: { readonly recipe: Palette['recipe']; readonly name: string; readonly madeOn?: Palette['madeOn'] },
  otherwise: Selector,
): { palette: Palette; tokens: Selector } {
  const { layers, heads, headDim } = graph.document.model;
  const data = new Float32Array(layers * heads * headDim);
  const relevance = new Float32Array(layers * heads);
  const nodes = headNodes(graph);
  for (const node of nodes) {
    const row = rowOf(graph.document.model, node.at.layer as number, node.at.head as number);
    data.set(resolve(graph, node.vector as VectorRef), row * headDim);
    relevance[row] = Math.abs(node.strength ?? 1);
  }
  const note = `Directions of the heads that ${from.name} steers; the others have none. Relevance is the strength that a head has in the file. A strength of 1 adds the file's vector as it is.`;
  return {
    palette: { recipe: from.recipe, layers, heads, headDim, ...(from.madeOn ? { madeOn: from.madeOn } : {}), data, relevance, note },
    tokens: nodes[0]?.tokens ?? otherwise,
  };
}

function resolve(graph: BoundGraph, ref: VectorRef): Float32Array {
  const [name, row] = typeof ref === 'string' ? [ref, 0] : ref;
  const { shape, data } = graph.vectors[name];
  const width = shape[shape.length - 1];
  return data.subarray(row * width, (row + 1) * width);
}
