import type { ModelShape, PointName } from './points.ts';

/** Types of an intervention graph document (docs/graph.md). The valibot schema in schema.ts must accept exactly these. */

export type Role = 'user' | 'assistant' | 'system' | 'template';

export type Selector =
  | 'all'
  | 'none'
  | 'prompt'
  | 'last'
  | 'generated'
  | 'answer'
  | { readonly from?: number; readonly to?: number }
  | { readonly at: readonly number[] }
  | { readonly role: Role }
  | { readonly ids: readonly number[] }
  | { readonly any: readonly Selector[] }
  | { readonly all: readonly Selector[] }
  | { readonly not: Selector };

export interface At {
  readonly point: PointName;
  readonly layer?: number;
  readonly head?: number;
}

/** `["t", 0]` is row 0 of `t`; `"t"` is the whole of a one-row vector. */
export type VectorRef = string | readonly [string, number];

export interface SourceRef {
  readonly from: {
    readonly lane: string | number;
    readonly point: PointName;
    readonly layer?: number;
    readonly head?: number;
    readonly tokens: Selector;
  };
}

export interface Gate {
  readonly read: string;
  readonly above?: number;
  readonly below?: number;
  /** @default 'each' */
  readonly hold?: 'each' | 'last';
}

export type EditName = 'add' | 'scale' | 'ablate' | 'clamp' | 'cap' | 'set';
export type ReadName = 'dot' | 'cosine' | 'norm';

export interface EditNode {
  readonly id: string;
  readonly edit: EditName;
  readonly at: At;
  readonly tokens: Selector;
  /** @default 1, for every edit */
  readonly strength?: number;
  readonly vector?: VectorRef | SourceRef;
  readonly mask?: VectorRef;
  readonly when?: Gate;
}

export interface ReadNode {
  readonly id: string;
  readonly read: ReadName;
  readonly at: At;
  readonly tokens: Selector;
  readonly vector?: VectorRef;
}

export type GraphNode = EditNode | ReadNode;

export interface StoredVector {
  readonly shape: readonly number[];
  readonly sha256: string;
}
export interface InlineVector {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

export interface GraphDocument {
  readonly tiller: 1;
  readonly name?: string;
  readonly model: ModelShape;
  readonly vectors?: Readonly<Record<string, StoredVector | InlineVector>>;
  readonly nodes: readonly GraphNode[];
}

/** A tensor of f32 rows: `shape` is [width] or [rows, width]. */
export interface Vector {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
export type VectorTable = Readonly<Record<string, Vector>>;

/** A validated document with all its vectors at hand: what engines take. */
export interface BoundGraph {
  readonly document: GraphDocument;
  readonly vectors: VectorTable;
}

/** One row of a batch. `strengths` are factors on the nodes' strengths by node id, `*` for the rest; what is not named has factor 0. */
export interface Lane {
  readonly name?: string;
  readonly strengths?: Readonly<Record<string, number>>;
  /** @default the request's seed, shared by all lanes so that what differs is the steering */
  readonly seed?: number;
}
