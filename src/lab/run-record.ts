import * as v from 'valibot';
import type { GenerateSummary } from '../engine/engine.ts';
import type { PromptToken, TokenShift } from './engine-protocol.ts';
import type { Input } from './experiment.ts';
import type { Receipt } from './receipt.ts';

/** A run as it is shown and kept: the texts of all lanes with what is known of every token. */

export interface RunToken {
  readonly id: number;
  readonly text: string;
  readonly logprob: number;
  readonly shift: TokenShift | null;
}

export interface RunLane {
  /** Factor on the graph's strengths; 0 in lane 0, the unedited one. */
  readonly factor: number;
  readonly tokens: readonly RunToken[];
}

export type RunState = 'running' | 'done' | 'stopped' | 'interrupted' | 'failed';

export interface RunRecord {
  readonly state: RunState;
  /** What was typed; absent in records of older versions. */
  readonly input?: Input;
  readonly prompt: readonly PromptToken[];
  readonly lanes: readonly RunLane[];
  readonly summary: GenerateSummary | null;
  readonly receipt: Receipt | null;
}

const top = v.array(v.object({ text: v.string(), logprob: v.number() }));
const token = v.object({
  id: v.number(),
  text: v.string(),
  logprob: v.number(),
  shift: v.nullable(v.object({ kl: v.number(), before: top, after: top })),
});
const schema = v.object({
  state: v.picklist(['running', 'done', 'stopped', 'interrupted', 'failed']),
  input: v.exactOptional(v.object({ mode: v.picklist(['text', 'chat']), prompt: v.string(), system: v.string() })),
  prompt: v.array(
    v.object({ id: v.number(), text: v.string(), role: v.nullable(v.picklist(['user', 'assistant', 'system', 'template'])) }),
  ),
  lanes: v.array(v.object({ factor: v.number(), tokens: v.array(token) })),
  summary: v.nullable(v.custom<GenerateSummary>((value) => typeof value === 'object' && value !== null && 'timing' in value)),
  receipt: v.nullable(v.custom<Receipt>((value) => typeof value === 'object' && value !== null && 'model' in value)),
});

/** A run from storage or a recording, or null where it is none. One that was under way when the page went is marked as interrupted. */
export function readRun(value: unknown): RunRecord | null {
  const result = v.safeParse(schema, value);
  if (!result.success) return null;
  const { state } = result.output;
  return { ...result.output, state: state === 'running' ? 'interrupted' : state };
}

export const laneText = (lane: RunLane): string => lane.tokens.map((part) => part.text).join('');
