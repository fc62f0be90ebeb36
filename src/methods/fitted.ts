import { buildGraph } from '../graph/vectors.ts';
import type { EditNode, GraphNode, Selector, VectorTable } from '../graph/document.ts';
import type { ModelShape } from '../graph/points.ts';
import type { Fitted, MethodReport, PlaceScore, Settings } from './method.ts';
import { placeAt, placeId, type Place } from './places.ts';

/** Places a report lists at most. */
const reportedPlaces = 4096;

/** Rows of one width as a graph's tensor. */
export function stack(rows: readonly ArrayLike<number>[]): { readonly shape: readonly number[]; readonly data: Float32Array } {
  const width = rows[0].length;
  const data = new Float32Array(rows.length * width);
  rows.forEach((row, index) => data.set(row, index * width));
  return { shape: [rows.length, width], data };
}

/** One vector to add at one place. */
export interface Addition {
  readonly place: Place;
  readonly vector: ArrayLike<number>;
  readonly strength: number;
}

/** Nodes and vectors that add, best first; all places are of one width. The vectors are the rows of one tensor, in order of rank. */
export function additions(
  list: readonly Addition[],
  tokens: Selector,
): { readonly nodes: readonly EditNode[]; readonly vectors: VectorTable } {
  if (list.length === 0) return { nodes: [], vectors: {} };
  const nodes = list.map(({ place, strength }, row): EditNode => ({
    id: placeId(place),
    edit: 'add',
    at: placeAt(place),
    tokens,
    vector: ['direction', row],
    strength: Math.fround(strength),
  }));
  return { nodes, vectors: { direction: stack(list.map(({ vector }) => vector)) } };
}

/** What a method hands back, put together: the graph built and checked, K bounded by what there is, the report cut to its length. */
export function fitted(parts: {
  readonly name: string;
  readonly shape: ModelShape;
  readonly nodes: readonly GraphNode[];
  readonly vectors?: VectorTable;
  readonly ranking: readonly (readonly string[])[];
  readonly chosen: number;
  readonly fixed?: readonly string[];
  readonly report: {
    readonly method: string;
    readonly settings: Settings;
    readonly places: readonly PlaceScore[];
    readonly scoreName: string;
    readonly notes: readonly string[];
    readonly numbers: MethodReport['numbers'];
  };
}): Fitted {
  const { name, shape, nodes, vectors, ranking, fixed, report } = parts;
  const chosen = Math.min(parts.chosen, ranking.length);
  const cut = report.places.length - reportedPlaces;
  const notes = cut > 0 ? [...report.notes, `${cut} more places were judged and are not listed.`] : report.notes;
  return {
    graph: buildGraph({ name, model: shape, nodes, vectors }),
    ranking,
    chosen,
    ...(fixed && fixed.length > 0 ? { fixed } : {}),
    report: { ...report, places: report.places.slice(0, reportedPlaces), notes },
  };
}
