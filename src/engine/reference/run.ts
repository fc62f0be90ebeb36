import type { Role } from '../../graph/document.ts';
import type { Plan } from '../../graph/plan.ts';
import type { ModelSpec } from '../../model/spec.ts';
import type { TokenRow } from '../rows.ts';
import { KvCache } from './cache.ts';

/** One lane on its way through the model: its tokens, its cache, and what its edits and reads left behind. */
export interface LaneRun extends TokenRow {
  /** Index among the lanes of the plan. */
  readonly lane: number;
  readonly ids: number[];
  readonly cache: KvCache;
  /** By read: its number at the last prompt position, NaN before it is there. */
  readonly held: Float64Array;
  /** By edit: rows it was applied to. */
  readonly counts: Uint32Array;
}

/** One position of one lane within a forward call. */
export interface Row {
  readonly run: LaneRun;
  readonly position: number;
  /** By read: its number at this position, NaN where it reads none. */
  readonly readings: Float64Array;
}

export function startRun(
  spec: ModelSpec,
  plan: Plan,
  lane: number,
  sequence: { readonly ids: readonly number[]; readonly promptLength: number; readonly roles: readonly (Role | null)[] },
): LaneRun {
  return {
    lane,
    ids: [...sequence.ids],
    promptLength: sequence.promptLength,
    roles: sequence.roles,
    cache: new KvCache(spec.layers, spec.kvHeads * spec.headDim),
    held: new Float64Array(plan.reads.length).fill(NaN),
    counts: new Uint32Array(plan.edits.length),
  };
}
