import * as v from 'valibot';
import type { PatchStudy } from '../evals/patch-study.ts';
import type { PointName } from '../graph/points.ts';
import type { PatchChoice } from './engine-protocol.ts';

/** What a person chose to patch. */
export interface PatchSettings extends PatchChoice {
  /** Also exchange what whole layers read and write. */
  readonly layers: boolean;
}

/** A pair that the embedded model answers with certainty: it knows whom somebody else speaks to. */
export const examplePatch: PatchSettings = {
  texts: {
    clean: 'Tom and Anna went to the park. Tom said to',
    corrupted: 'Tom and Anna went to the park. Anna said to',
    wanted: 'Anna',
    unwanted: 'Tom',
  },
  positions: 'all',
  layers: false,
};

/** Points of whole layers that the page offers. */
export const layerPoints = ['resid_pre', 'attn_out', 'mlp_out'] as const satisfies readonly PointName[];

const text = v.pipe(v.string(), v.maxLength(100_000));
const settings = v.object({
  texts: v.object({ clean: text, corrupted: text, wanted: text, unwanted: text }),
  positions: v.union([v.picklist(['all', 'last']), v.array(v.pipe(v.number(), v.integer()))]),
  layers: v.boolean(),
});

/** What the last visit left; null where there is none or it is of another version. */
export function readPatchSettings(stored: unknown): PatchSettings | null {
  const parsed = v.safeParse(settings, stored);
  return parsed.success ? parsed.output : null;
}

/** A finished study as the page keeps it. */
export interface PatchResult {
  readonly version: 1;
  readonly settings: PatchSettings;
  readonly study: PatchStudy;
  readonly shape: { readonly layers: number; readonly heads: number };
  readonly modelLabel: string;
  readonly identity: string;
}

/** What the browser kept, if it is of this version. */
export function readPatchResult(kept: unknown): PatchResult | null {
  if (typeof kept !== 'object' || kept === null) return null;
  const result = kept as Partial<PatchResult>;
  const whole = result.version === 1 && result.study !== undefined && result.settings !== undefined && result.shape !== undefined;
  return whole ? (result as PatchResult) : null;
}
