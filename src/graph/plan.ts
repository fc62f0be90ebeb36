import type { EditName, ReadName, Role } from './document.ts';
import type { PointName } from './points.ts';

/** Everything a selector may look at. `roles[p]` may be absent; generated tokens have the role 'assistant'. */
export interface TokenContext {
  readonly position: number;
  readonly promptLength: number;
  readonly id: number;
  readonly role: Role | null;
}

export interface CompiledSelector {
  selects(token: TokenContext): boolean;
  /** True when the answer depends on position and promptLength only, so that it is known before a token is generated. */
  readonly positional: boolean;
}

export interface PlannedGate {
  /** Index into Plan.reads. */
  readonly read: number;
  readonly above: number | null;
  readonly below: number | null;
  readonly hold: 'each' | 'last';
}

export interface PlannedSource {
  /** Lane index. */
  readonly lane: number;
  readonly point: PointName;
  readonly layer: number;
  readonly start: number;
  readonly width: number;
  readonly tokens: CompiledSelector;
}

interface PlannedSite {
  readonly id: string;
  readonly point: PointName;
  /** -1 for points without a layer. */
  readonly layer: number;
  /** First column and number of columns of the slice of the point's row. */
  readonly start: number;
  readonly width: number;
  readonly tokens: CompiledSelector;
}

export interface PlannedEdit extends PlannedSite {
  readonly kind: 'edit';
  /** Index among the edits, in document order: column of strength and mask tables, row of counts. */
  readonly index: number;
  readonly edit: EditName;
  /** `add`, `set`: v. `ablate`, `clamp`, `cap`: the UNIT vector u = v/|v| (computed in f64). `scale`: null. Length `width`. */
  readonly vector: Float32Array | null;
  /** `scale` only; all ones when absent in the document. */
  readonly mask: Float32Array | null;
  readonly source: PlannedSource | null;
  readonly strength: number;
  readonly gate: PlannedGate | null;
}

export interface PlannedRead extends PlannedSite {
  readonly kind: 'read';
  readonly index: number;
  readonly read: ReadName;
  /** As stored, not normalised; null for `norm`. cosine = x.v / (|x| |v|), 0 when either is 0. */
  readonly vector: Float32Array | null;
  /** True when some gate holds its value at the last prompt position. */
  readonly held: boolean;
}

/**
 * A graph compiled for one model and one list of lanes. Nodes at one (point, layer) run in document order, edits first:
 * a read sees the row after every edit at its place. `at(point, layer)` gives edits (document order), then reads.
 */
export interface Plan {
  readonly edits: readonly PlannedEdit[];
  readonly reads: readonly PlannedRead[];
  at(point: PointName, layer: number): readonly (PlannedEdit | PlannedRead)[];
  /** Effective strength of an edit in a lane, or null where it does not act: factor 0, or strength 0 for add, scale, ablate and set. */
  strengthOf(lane: number, edit: number): number | null;
  /** Some gate holds the reading of the last prompt token, so the whole prompt must pass layer by layer in one go. */
  readonly wholePrompt: boolean;
  /** SHA-256 (hex) of the canonical document with vectors by hash; '' for no graph. */
  readonly hash: string;
}
