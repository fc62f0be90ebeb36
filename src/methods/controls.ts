import type { EditNode, GraphNode, Vector, VectorRef, VectorTable } from '../graph/document.ts';
import { forwardOrder, pointRow } from '../graph/points.ts';
import { isSource, rowRef, rowsAndWidth } from '../graph/references.ts';
import { buildGraph } from '../graph/vectors.ts';
import { normal, shuffle } from '../stats/random.ts';
import { length } from './direction.ts';
import type { Fitted } from './method.ts';
import { placeAt, placeId, placesOfLayer, type Place } from './places.ts';

/**
 * What an intervention has to beat: the same dose in a direction that means nothing, at places that were not chosen, or turned round.
 * Each keeps ranking and number of places, so that a sweep treats it as the fit itself. (The fourth control, the prompt alone, is the
 * unedited model with other words; it is no graph.)
 */

export type ControlName = 'random direction' | 'shuffled places' | 'flipped sign';
/** `reason`: why the control says nothing about this intervention. */
export type Control = { readonly fitted: Fitted } | { readonly reason: string };

export interface ControlRow {
  readonly name: ControlName;
  readonly what: string;
  /** @param random uniform numbers in [0, 1), seeded */
  readonly make: (fitted: Fitted, random: () => number) => Control;
}

const isEdit = (node: GraphNode): node is EditNode => 'edit' in node;

/** The same fit with other nodes and vectors; ids may change with `renamed`. */
function changed(
  fitted: Fitted,
  name: ControlName,
  nodes: readonly GraphNode[],
  vectors: VectorTable,
  renamed = new Map<string, string>(),
): Control {
  const { document } = fitted.graph;
  const used = new Set(nodes.flatMap((node) => refs(node).map((ref) => rowRef(ref).name)));
  const graph = buildGraph({
    name: `${document.name ?? fitted.report.method}, ${name}`.slice(0, 256),
    model: document.model,
    nodes,
    vectors: Object.fromEntries(Object.entries(vectors).filter(([key]) => used.has(key))),
  });
  const ranking = fitted.ranking.map((ids) => ids.map((id) => renamed.get(id) ?? id));
  return { fitted: { ...fitted, graph, ranking, report: { ...fitted.report, notes: [...fitted.report.notes, `Control: ${name}.`] } } };
}

function refs(node: GraphNode): VectorRef[] {
  const list: VectorRef[] = [];
  if (node.vector !== undefined && !isSource(node.vector)) list.push(node.vector);
  if (isEdit(node) && node.mask !== undefined) list.push(node.mask);
  return list;
}

/** Every row replaced by a random one of the same length. Nodes that share a row go on sharing. */
function randomRows({ shape, data }: Vector, random: () => number): Vector {
  const { rows, width } = rowsAndWidth(shape);
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const direction = Float64Array.from({ length: width }, () => normal(random));
    const factor = length(data.subarray(row * width, (row + 1) * width)) / length(direction);
    for (let i = 0; i < width; i++) out[row * width + i] = direction[i] * factor;
  }
  return { shape, data: out };
}

function randomDirection(fitted: Fitted, random: () => number): Control {
  const { document, vectors } = fitted.graph;
  const stored = document.nodes.filter((node): node is EditNode => isEdit(node) && node.vector !== undefined && !isSource(node.vector));
  if (stored.length === 0) return { reason: 'the edits have no direction: they scale what is there' };
  const names = new Set(stored.map((node) => rowRef(node.vector as VectorRef).name));
  const renamed = new Map([...names].map((name) => [name, `random ${name}`.slice(0, 256)]));
  const made = Object.fromEntries([...renamed].map(([from, to]) => [to, randomRows(vectors[from], random)]));
  const nodes = document.nodes.map((node): GraphNode => {
    // A read keeps its vector: when to act is not what is tested.
    if (!isEdit(node) || node.vector === undefined || isSource(node.vector)) return node;
    const { name, row } = rowRef(node.vector);
    return { ...node, vector: [renamed.get(name) ?? name, row] };
  });
  return changed(fitted, 'random direction', nodes, { ...vectors, ...made });
}

/** Places an edit could have had: every head or layer of its point, after the read that gates it. */
function candidates(node: EditNode, fitted: Fitted): Place[] {
  const { nodes, model } = fitted.graph.document;
  const { point } = node.at;
  if (!pointRow(point).perLayer) return [];
  const gate = node.when && nodes.find((other) => other.id === node.when?.read);
  const after = gate ? forwardOrder(gate.at.point, gate.at.layer ?? 0, model.layers) : -1;
  const places: Place[] = [];
  for (let layer = 0; layer < model.layers; layer++) {
    if (forwardOrder(point, layer, model.layers) <= after) continue;
    if (node.at.head === undefined) places.push({ point, layer, head: null, start: 0, width: 0 });
    else places.push(...placesOfLayer(point, layer, model));
  }
  return places;
}

/**
 * New places for `own` by drawing from `all`: places that the fit does not use where there are enough, else other ones among all.
 * Null where there is no other place.
 */
function otherPlaces(own: readonly Place[], all: readonly Place[], random: () => number): Place[] | null {
  const taken = new Set(own.map(placeId));
  const free = shuffle(
    all.filter((place) => !taken.has(placeId(place))),
    random,
  );
  if (free.length >= own.length) return free.slice(0, own.length);
  if (all.length < 2) return null;
  // Not enough left over: every place moves to the next one of a random ring, so none keeps its own.
  const ring = shuffle([...all], random);
  const index = new Map(ring.map((place, at) => [placeId(place), at]));
  return own.map((place) => ring[((index.get(placeId(place)) ?? 0) + 1) % ring.length]);
}

function shuffledPlaces(fitted: Fitted, random: () => number): Control {
  const { document, vectors } = fitted.graph;
  if (fitted.ranking.some((ids) => ids.length > 1)) return { reason: 'every layer is edited together, so there are no other places' };
  const byId = new Map(document.nodes.map((node) => [node.id, node]));
  const edits = fitted.ranking.flatMap(([id]) => {
    const node = byId.get(id);
    return node && isEdit(node) ? [node] : [];
  });
  if (edits.length === 0 || edits.some((node) => node.at.point !== edits[0].at.point))
    return { reason: 'the edits are at points of different kinds' };
  if (edits.some((node) => node.mask !== undefined)) return shuffledElements(fitted, edits, random);
  const own = edits.map(({ at }): Place => ({ point: at.point, layer: at.layer ?? 0, head: at.head ?? null, start: 0, width: 0 }));
  const others = otherPlaces(own, candidates(edits[0], fitted), random);
  if (!others) return { reason: 'there is no other place' };
  const moved = new Map(edits.map((node, i) => [node.id, { ...node, id: placeId(others[i]), at: placeAt(others[i]) }]));
  const nodes = document.nodes.map((node) => moved.get(node.id) ?? node);
  return changed(fitted, 'shuffled places', nodes, vectors, new Map([...moved].map(([id, node]) => [id, node.id])));
}

/** Masks of single elements: the same number of others, in layers drawn at random. */
function shuffledElements(fitted: Fitted, edits: readonly EditNode[], random: () => number): Control {
  const { document, vectors } = fitted.graph;
  const { layers } = document.model;
  const taken = new Set<string>();
  const renamed = new Map<string, string>();
  const rows: Float32Array[] = [];
  const moved = new Map<string, EditNode>();
  for (const node of edits) {
    const { name, row } = rowRef(node.mask as VectorRef);
    const { width } = rowsAndWidth(vectors[name].shape);
    const own = vectors[name].data.subarray(row * width, (row + 1) * width);
    let layer = 0;
    let mask = own;
    // Places are many and chosen ones few, so this ends soon; where they are not, a repetition is better than none.
    for (let attempt = 0; attempt < 100; attempt++) {
      layer = Math.floor(random() * layers);
      const by = Math.floor(random() * width);
      mask = own.map((_, i) => own[(i + by) % width]);
      const key = `${layer} ${mask.findIndex((value) => value !== 0)}`;
      const same = layer === node.at.layer && by === 0;
      if (same || taken.has(key)) continue;
      taken.add(key);
      break;
    }
    rows.push(mask);
    const id = `shuffled.${rows.length - 1}`;
    renamed.set(node.id, id);
    moved.set(node.id, { ...node, id, at: { point: node.at.point, layer }, mask: ['shuffled', rows.length - 1] });
  }
  const width = rows[0].length;
  const data = new Float32Array(rows.length * width);
  rows.forEach((row, index) => data.set(row, index * width));
  const nodes = document.nodes.map((node) => moved.get(node.id) ?? node);
  return changed(fitted, 'shuffled places', nodes, { ...vectors, shuffled: { shape: [rows.length, width], data } }, renamed);
}

/** Why the opposite of an edit is not its negative; null where it is. */
const oneWay: Readonly<Record<EditNode['edit'], string | null>> = {
  add: null,
  scale: null,
  ablate: null,
  clamp: null,
  cap: 'a cap turned round is another bound, not the opposite',
  set: 'a value that is set has no opposite',
};

function flippedSign(fitted: Fitted): Control {
  const ids = new Set(fitted.ranking.flat());
  const { document, vectors } = fitted.graph;
  for (const node of document.nodes) {
    const reason = isEdit(node) && ids.has(node.id) ? oneWay[node.edit] : null;
    if (reason !== null) return { reason };
  }
  const nodes = document.nodes.map((node): GraphNode =>
    isEdit(node) && ids.has(node.id) ? { ...node, strength: -(node.strength ?? 1) } : node,
  );
  return changed(fitted, 'flipped sign', nodes, vectors);
}

export const controls: readonly ControlRow[] = [
  {
    name: 'random direction',
    what: 'the same places and the same lengths, in directions drawn at random',
    make: randomDirection,
  },
  {
    name: 'shuffled places',
    what: 'the same vectors at other places of the same kind, drawn at random',
    make: shuffledPlaces,
  },
  { name: 'flipped sign', what: 'the same vectors with the opposite sign', make: flippedSign },
];
