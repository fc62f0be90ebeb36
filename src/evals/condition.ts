import type { BoundGraph, GraphNode, Lane } from '../graph/document.ts';
import { graphHash } from '../graph/hash.ts';
import { buildGraph } from '../graph/vectors.ts';

/**
 * Something to compare: a graph with a lane's strengths. Conditions of one graph are lanes of one run; the unedited model is always
 * measured with them and is not listed.
 */
export interface Condition {
  /** Unique within a study, stable: what results are told apart by. */
  readonly name: string;
  readonly graph: BoundGraph;
  readonly lane: Lane;
}

/** A number with the 95 % interval of a bootstrap over its independent units. */
export interface Estimate {
  readonly value: number;
  readonly interval: readonly [number, number];
  /** Units resampled: questions, documents. */
  readonly units: number;
}

/** What an intervention costs, on neutral texts that are the same for all conditions. */
export interface Damage {
  /** Cross entropy in nats a token. */
  readonly crossEntropy: Estimate;
  /** Mean over tokens of KL(unedited || edited), nats. 0 for the unedited model. */
  readonly kl: Estimate;
  /** Cross entropy less the unedited model's on the same documents, nats a token. */
  readonly crossEntropyRise: Estimate;
}

/** Conditions of one graph, which may run as lanes of one request. */
export interface GraphGroup {
  readonly graph: BoundGraph;
  /** graphHash of it. */
  readonly sha256: string;
  /** Indices into the conditions given. */
  readonly members: readonly number[];
}

/** Conditions by graph, in the order in which graphs first appear. Equal graphs are one, whichever objects hold them. */
export function groupByGraph(conditions: readonly Condition[]): GraphGroup[] {
  const hashes = new Map<BoundGraph, string>();
  const groups = new Map<string, { graph: BoundGraph; sha256: string; members: number[] }>();
  conditions.forEach(({ graph }, index) => {
    let sha256 = hashes.get(graph);
    if (sha256 === undefined) hashes.set(graph, (sha256 = graphHash(graph.document)));
    // The hash leaves ids out, and lanes name ids: graphs are only run together where their ids agree too.
    const key = `${sha256} ${graph.document.nodes.map((node) => JSON.stringify(node.id)).join()}`;
    const group = groups.get(key) ?? { graph, sha256, members: [] };
    group.members.push(index);
    groups.set(key, group);
  });
  return [...groups.values()];
}

/** The factor of a lane on a node: its own, else that of `*`, else 0. */
export function laneFactor(lane: Lane, id: string): number {
  const strengths = lane.strengths ?? {};
  if (Object.hasOwn(strengths, id)) return strengths[id];
  return Object.hasOwn(strengths, '*') ? strengths['*'] : 0;
}

/** Factors by edit in the order of the nodes: with the graph's hash, what a condition is, whatever its names. */
export function laneFactors({ graph, lane }: Condition): number[] {
  return graph.document.nodes.flatMap((node) => ('edit' in node ? [laneFactor(lane, node.id)] : []));
}

/**
 * A condition as a graph of its own: strength 1 of the result is what the lane made of the given graph. Edits with factor 0 are left
 * out, and so are vectors and reads that then nothing names.
 */
export function graphOfCondition({ graph, lane }: Condition, name?: string): BoundGraph {
  const { document, vectors } = graph;
  const edits = document.nodes.flatMap((node): GraphNode[] => {
    if (!('edit' in node)) return [node];
    const factor = laneFactor(lane, node.id);
    return factor === 0 ? [] : [{ ...node, strength: factor * (node.strength ?? 1) }];
  });
  const gates = new Set(edits.flatMap((node) => ('edit' in node && node.when ? [node.when.read] : [])));
  const gatesBefore = new Set(document.nodes.flatMap((node) => ('edit' in node && node.when ? [node.when.read] : [])));
  const nodes = edits.filter((node) => 'edit' in node || gates.has(node.id) || !gatesBefore.has(node.id));
  const used = new Set(nodes.flatMap(vectorNames));
  const kept = Object.fromEntries(Object.entries(vectors).filter(([key]) => used.has(key)));
  const title = name ?? document.name;
  return buildGraph({ model: document.model, nodes, vectors: kept, ...(title === undefined ? {} : { name: title }) });
}

function vectorNames(node: GraphNode): string[] {
  const refs = [node.vector, 'edit' in node ? node.mask : undefined];
  return refs.flatMap((ref) => (typeof ref === 'string' ? [ref] : Array.isArray(ref) ? [String(ref[0])] : []));
}
