import { canonicalJson, canonicalSelector } from './canonical.ts';
import type { BoundGraph, EditNode, Gate, GraphNode, Lane, ReadNode, Selector, SourceRef, VectorRef } from './document.ts';
import { graphHash } from './hash.ts';
import { laneStrengths } from './lanes.ts';
import type { CompiledSelector, Plan, PlannedEdit, PlannedGate, PlannedRead, PlannedSource } from './plan.ts';
import { forwardOrder, pointRow, pointWidth, type ModelShape, type PointName } from './points.ts';
import { isSource, rowRef, rowsAndWidth } from './references.ts';
import type { Refusal } from './refusal.ts';
import { compileSelector } from './selector.ts';

export interface CompileOptions {
  readonly graph: BoundGraph | null;
  readonly shape: ModelShape;
  readonly vocab: number;
  readonly lanes: readonly Lane[];
  /** Points the model has. @default all of them */
  readonly points?: readonly PointName[];
}

interface Slice {
  readonly point: PointName;
  readonly layer: number;
  readonly start: number;
  readonly width: number;
}

const shapeFields = ['family', 'layers', 'heads', 'kvHeads', 'headDim', 'hidden', 'intermediate'] as const;

/**
 * Compiles a graph for one model and one list of lanes. A graph runs whole or not at all: with any refusal the plan has no edits and no
 * reads. Refusals come in document order, each with the node it is about.
 */
export function compilePlan(options: CompileOptions): { plan: Plan; refusals: Refusal[] } {
  const { graph, lanes } = options;
  const { edits, reads, refusals: found } = graph ? new Compiler(graph, options).run() : { edits: [], reads: [], refusals: [] };
  const table = laneStrengths(graph ? graph.document.nodes : [], edits, lanes);
  const refusals = [...found, ...table.refusals];
  const refused = refusals.length > 0;
  const hash = graph ? graphHash(graph.document) : '';
  return { plan: makePlan(refused ? [] : edits, refused ? [] : reads, table.strengthOf, hash), refusals };
}

function makePlan(edits: readonly PlannedEdit[], reads: readonly PlannedRead[], strengthOf: Plan['strengthOf'], hash: string): Plan {
  const places = new Map<string, (PlannedEdit | PlannedRead)[]>();
  for (const node of [...edits, ...reads]) {
    const key = `${node.point} ${node.layer}`;
    const list = places.get(key);
    if (list) list.push(node);
    else places.set(key, [node]);
  }
  const nothing: readonly (PlannedEdit | PlannedRead)[] = [];
  return {
    edits,
    reads,
    at: (point, layer) => places.get(`${point} ${layer}`) ?? nothing,
    strengthOf,
    wholePrompt: reads.some((read) => read.held),
    hash,
  };
}

/** One pass over the nodes; every problem becomes a refusal and the pass goes on, so that a person sees all of them. */
class Compiler {
  private readonly refusals: Refusal[] = [];
  private readonly selectors = new Map<string, CompiledSelector>();
  private readonly units = new Map<string, Float32Array | null>();
  private readonly graph: BoundGraph;
  private readonly options: CompileOptions;

  constructor(graph: BoundGraph, options: CompileOptions) {
    this.graph = graph;
    this.options = options;
  }

  run(): { edits: PlannedEdit[]; reads: PlannedRead[]; refusals: Refusal[] } {
    const { nodes, model } = this.graph.document;
    const { shape } = this.options;
    const differing = shapeFields.filter((field) => model[field] !== shape[field]);
    if (differing.length > 0) {
      const reason = differing.map((field) => `${field} is ${model[field]} in the graph and ${shape[field]} in the model`).join(', ');
      const remedy = 'Load the model the graph was made for, or fit the graph again on this one.';
      return { edits: [], reads: [], refusals: [{ code: 'graph/model-mismatch', node: '', reason, remedy }] };
    }
    const held = new Set<string>();
    for (const node of nodes) if ('edit' in node && node.when?.hold === 'last') held.add(node.when.read);
    const reads: PlannedRead[] = [];
    const readIndex = new Map<string, number>();
    for (const node of nodes) {
      if (!('read' in node)) continue;
      readIndex.set(node.id, reads.length);
      reads.push(this.planRead(node, reads.length, held.has(node.id)));
    }
    const edits: PlannedEdit[] = [];
    for (const node of nodes) if ('edit' in node) edits.push(this.planEdit(node, edits.length, reads, readIndex));
    const order = new Map(nodes.map((node, index) => [node.id, index]));
    this.refusals.sort((a, b) => (order.get(a.node) ?? -1) - (order.get(b.node) ?? -1));
    return { edits, reads, refusals: this.refusals };
  }

  private refuse(node: GraphNode, reason: string, remedy: string): void {
    this.refusals.push({ code: 'graph/refused', node: node.id, reason, remedy });
  }

  private planRead(node: ReadNode, index: number, held: boolean): PlannedRead {
    const slice = this.slice(node, node.at, 'at');
    const vector = node.vector === undefined ? null : this.row(node, node.vector, slice.width, 'vector');
    return { kind: 'read', index, read: node.read, id: node.id, ...slice, tokens: this.selector(node.tokens), vector, held };
  }

  private planEdit(node: EditNode, index: number, reads: readonly PlannedRead[], readIndex: ReadonlyMap<string, number>): PlannedEdit {
    const slice = this.slice(node, node.at, 'at');
    let vector: Float32Array | null = null;
    let source: PlannedSource | null = null;
    if (node.vector !== undefined && isSource(node.vector)) source = this.source(node, node.vector, slice);
    else if (node.vector !== undefined) vector = this.row(node, node.vector, slice.width, 'vector');
    if (node.edit === 'ablate' || node.edit === 'clamp' || node.edit === 'cap') vector = vector && this.unit(node, vector);
    let mask: Float32Array | null = null;
    if (node.edit === 'scale') mask = node.mask === undefined ? this.ones(slice.width) : this.row(node, node.mask, slice.width, 'mask');
    const gate = node.when === undefined ? null : this.gate(node, node.when, slice, reads, readIndex);
    const strength = node.strength ?? 1;
    return {
      kind: 'edit',
      index,
      edit: node.edit,
      id: node.id,
      ...slice,
      tokens: this.selector(node.tokens),
      vector,
      mask,
      source,
      strength,
      gate,
    };
  }

  /** Columns that `at` means. Out of range gives a refusal and an empty slice. */
  private slice(node: GraphNode, at: { point: PointName; layer?: number; head?: number }, where: string): Slice {
    const { shape, vocab } = this.options;
    const row = pointRow(at.point);
    const layer = row.perLayer ? (at.layer ?? -1) : -1;
    const none = { point: at.point, layer, start: 0, width: 0 };
    if (this.options.points && !this.options.points.includes(at.point)) {
      this.refuse(
        node,
        `${where} names the point "${at.point}", which models of the family ${shape.family} do not have`,
        'Choose another point.',
      );
      return none;
    }
    if (row.perLayer && (layer < 0 || layer >= shape.layers)) {
      this.refuse(node, `${where} names layer ${layer}, the model has ${shape.layers}`, 'Choose a layer of the model; they count from 0.');
      return none;
    }
    if (at.head === undefined) return { ...none, width: pointWidth(at.point, shape, vocab) };
    const heads = row.heads === 'kv' ? shape.kvHeads : row.heads === 'query' ? shape.heads : 0;
    if (at.head >= heads) {
      this.refuse(
        node,
        `${where} names head ${at.head} of "${at.point}", which has ${heads}`,
        'Choose a head of the model; they count from 0.',
      );
      return none;
    }
    return { ...none, start: at.head * shape.headDim, width: shape.headDim };
  }

  private row(node: GraphNode, ref: VectorRef, width: number, what: 'vector' | 'mask'): Float32Array | null {
    const { name, row } = rowRef(ref);
    const vector = this.graph.vectors[name];
    const { width: has } = rowsAndWidth(vector.shape);
    if (width === 0) return null;
    if (has !== width) {
      const place = node.at.head === undefined ? `"${node.at.point}"` : `a head of "${node.at.point}"`;
      this.refuse(node, `the ${what} "${name}" is ${has} wide, ${place} is ${width}`, `Give a ${what} of width ${width}.`);
      return null;
    }
    return vector.data.subarray(row * width, (row + 1) * width);
  }

  /** v/|v|, computed in f64; nodes that share a row share the result. */
  private unit(node: EditNode, vector: Float32Array): Float32Array | null {
    const { name, row } = rowRef(node.vector as VectorRef);
    const key = `${row} ${name}`;
    let unit = this.units.get(key);
    if (unit === undefined) this.units.set(key, (unit = normalise(vector)));
    if (unit === null) this.refuse(node, `the vector "${name}" (row ${row}) is zero and has no direction`, 'Give a vector with a length.');
    return unit;
  }

  private readonly onesByWidth = new Map<number, Float32Array>();

  private ones(width: number): Float32Array {
    let ones = this.onesByWidth.get(width);
    if (!ones) this.onesByWidth.set(width, (ones = new Float32Array(width).fill(1)));
    return ones;
  }

  private selector(selector: Selector): CompiledSelector {
    const key = canonicalJson(canonicalSelector(selector));
    let compiled = this.selectors.get(key);
    if (!compiled) this.selectors.set(key, (compiled = compileSelector(selector)));
    return compiled;
  }

  private order(slice: Slice): number {
    return forwardOrder(slice.point, slice.layer, this.options.shape.layers);
  }

  private gate(
    node: EditNode,
    when: Gate,
    slice: Slice,
    reads: readonly PlannedRead[],
    readIndex: ReadonlyMap<string, number>,
  ): PlannedGate | null {
    const read = readIndex.get(when.read);
    if (read === undefined) {
      this.refuse(node, `its gate names the read "${when.read}", which the graph lacks`, 'Name a read of the graph.');
      return null;
    }
    if (this.order(reads[read]) >= this.order(slice)) {
      const reason = `its gate reads "${when.read}" at ${placeName(reads[read])}, which does not come before ${placeName(slice)} in the forward pass`;
      this.refuse(node, reason, 'Move the read to an earlier point or layer, or the edit to a later one.');
    }
    return { read, above: when.above ?? null, below: when.below ?? null, hold: when.hold ?? 'each' };
  }

  private source(node: EditNode, { from }: SourceRef, slice: Slice): PlannedSource | null {
    const lane = this.sourceLane(node, from.lane);
    const place = this.slice(node, from, 'the source');
    if (lane === null || place.width === 0 || slice.width === 0) return null;
    if (this.order(place) > this.order(slice)) {
      const reason = `its source ${placeName(place)} comes after ${placeName(slice)} in the forward pass`;
      this.refuse(node, reason, 'Take the vector from the same place or an earlier one.');
    }
    if (place.width !== slice.width) {
      this.refuse(
        node,
        `its source ${placeName(place)} is ${place.width} wide, the edit ${slice.width}`,
        'Take the vector from a place of the same width.',
      );
    }
    return { lane, ...place, tokens: this.selector(from.tokens) };
  }

  private sourceLane(node: EditNode, named: string | number): number | null {
    const { lanes } = this.options;
    const found =
      typeof named === 'number' ? (named < lanes.length ? [named] : []) : lanes.flatMap((lane, i) => (lane.name === named ? [i] : []));
    if (found.length === 1) return found[0];
    const which = typeof named === 'number' ? `number ${named}` : `named "${named}"`;
    const reason = `its source is the lane ${which}, and ${found.length === 0 ? 'no lane of this run is that' : `${found.length} lanes of this run are`}`;
    this.refuse(node, reason, 'Run the graph with that lane, or name a lane of this run.');
    return null;
  }
}

const placeName = ({ point, layer }: Slice): string => (layer < 0 ? point : `${point} of layer ${layer}`);

function normalise(vector: Float32Array): Float32Array | null {
  let square = 0;
  for (const value of vector) square += value * value;
  if (square === 0) return null;
  const length = Math.sqrt(square);
  return vector.map((value) => value / length);
}
