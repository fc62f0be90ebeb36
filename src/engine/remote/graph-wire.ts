import type { BoundGraph, GraphDocument, InlineVector, StoredVector } from '../../graph/document.ts';
import { vectorHash } from '../../graph/hash.ts';

/** A graph as it travels: the document, and beside it the vectors that are named by hash, to be sent where they are not known yet. */
export interface WireGraph {
  readonly document: GraphDocument;
  /** By SHA-256. */
  readonly tensors: ReadonlyMap<string, Float32Array>;
}

/** Numbers of a vector that may stay in the document; longer ones travel as tensors, once. */
const INLINE = 64;

const kept = new WeakMap<BoundGraph, WireGraph>();

/** Long vectors by hash, whether the document had them inline or not. The identity of the graph is kept. */
export function wireGraph(graph: BoundGraph): WireGraph {
  const known = kept.get(graph);
  if (known) return known;
  const vectors: Record<string, StoredVector | InlineVector> = {};
  const tensors = new Map<string, Float32Array>();
  for (const [name, entry] of Object.entries(graph.document.vectors ?? {})) {
    const { shape, data } = graph.vectors[name];
    if ('data' in entry && entry.data.length <= INLINE) {
      vectors[name] = entry;
      continue;
    }
    const sha256 = 'sha256' in entry ? entry.sha256 : vectorHash({ data });
    vectors[name] = { shape, sha256 };
    tensors.set(sha256, data);
  }
  const { vectors: named, ...rest } = graph.document;
  const wire = { document: named === undefined ? rest : { ...rest, vectors }, tensors };
  kept.set(graph, wire);
  return wire;
}
