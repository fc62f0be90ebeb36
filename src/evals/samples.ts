import { TillerError } from '../errors/error.ts';
import type { GenerateSummary, Sampling, Step } from '../engine/engine.ts';
import type { BoundGraph, Lane, Role } from '../graph/document.ts';
import { groupByGraph, laneFactors, type Condition, type Estimate } from './condition.ts';
import { meanEstimate, type Resampling } from './estimate.ts';
import { repetitionOf } from './repetition.ts';
import { modelKey, stopIfAsked, type EvalRun } from './run.ts';
import { memoryUnits, unitKey, type Json } from './unit-store.ts';

export interface SamplePlan {
  readonly prompts: readonly { readonly ids: readonly number[]; readonly roles?: readonly (Role | null)[] }[];
  /** New tokens a sample. */
  readonly maxTokens: number;
  /** All conditions share the random stream. @default greedy */
  readonly sampling?: Sampling;
}

/** A continuation of one prompt under one condition: new token ids, the ending one not among them. */
export interface Sample {
  readonly ids: readonly number[];
  /** Whether the model ended the text by itself. */
  readonly ended: boolean;
  /** Edits applied, of all nodes together. */
  readonly edits: number;
}

export interface Samples {
  /** By prompt. */
  readonly unedited: readonly Sample[];
  /** By condition, then by prompt. */
  readonly conditions: readonly (readonly Sample[])[];
}

/**
 * Continuations of the same prompts unedited and under every condition, as many conditions side by side as the engine has lanes for.
 * @throws eval/units without prompts; what Engine.generate throws
 */
export async function sampleTexts(plan: SamplePlan, conditions: readonly Condition[], run: EvalRun): Promise<Samples> {
  const { engine, signal } = run;
  if (plan.prompts.length === 0) throw new TillerError('eval/units', { what: 'prompt to continue' });
  const store = run.store ?? memoryUnits();
  const groups = groupByGraph(conditions);
  const unedited = conditions.length;
  const conditionKeys: Json[] = [...conditions, null].map(() => null);
  for (const { sha256, members } of groups)
    for (const member of members)
      conditionKeys[member] = { graph: sha256, factors: laneFactors(conditions[member]), seed: conditions[member].lane.seed ?? null };
  const { temperature = 0, topK = 0, topP = 1, seed = 0 } = plan.sampling ?? {};
  const common = { unit: 'sample 1', model: modelKey(engine), maxTokens: plan.maxTokens, sampling: { temperature, topK, topP, seed } };
  const key = (prompt: number, row: number): string => {
    const { ids, roles } = plan.prompts[prompt];
    return unitKey({ common, ids: [...ids], roles: roles ? [...roles] : null, condition: conditionKeys[row] });
  };
  const table: (Sample | null)[][] = conditionKeys.map(() => plan.prompts.map(() => null));
  const total = plan.prompts.length * (conditions.length + 1);
  let done = 0;
  let reused = 0;
  const perRun = Math.max(1, engine.model.limits.maxLanes - 1);

  for (let prompt = 0; prompt < plan.prompts.length; prompt += 1) {
    stopIfAsked(signal);
    for (let row = 0; row <= unedited; row += 1) {
      const stored = readSample(await store.get(key(prompt, row)));
      if (!stored) continue;
      table[row][prompt] = stored;
      done += 1;
      reused += 1;
    }
    const missing = (row: number): boolean => table[row][prompt] === null;
    const wanted: { graph: BoundGraph | null; rows: number[] }[] = groups.flatMap(({ graph, members }) =>
      chunks(members.filter(missing), perRun).map((rows) => ({ graph, rows })),
    );
    if (wanted.length === 0 && missing(unedited)) wanted.push({ graph: null, rows: [] });
    for (const { graph, rows } of wanted) {
      const lanes: Lane[] = [{ name: 'as is' }, ...rows.map((row) => conditions[row].lane)];
      const result = await generateAll(plan, prompt, graph ? { graph, lanes } : {}, run);
      for (const [lane, row] of [unedited, ...rows].entries()) {
        if (!missing(row)) continue;
        const sample = result[lane];
        table[row][prompt] = sample;
        await store.set(key(prompt, row), [[...sample.ids], sample.ended, sample.edits]);
        done += 1;
      }
      run.onProgress?.({ done, total, reused });
    }
    run.onProgress?.({ done, total, reused });
  }
  const rows = table.map((row) => row.map((sample) => sample ?? { ids: [], ended: false, edits: 0 }));
  return { unedited: rows[unedited], conditions: rows.slice(0, unedited) };
}

async function generateAll(
  plan: SamplePlan,
  prompt: number,
  edited: { graph?: BoundGraph; lanes?: Lane[] },
  run: EvalRun,
): Promise<Sample[]> {
  const { engine, signal } = run;
  const { ids, roles } = plan.prompts[prompt];
  const stop = new Set(engine.model.eosIds);
  const steps = engine.generate({
    prompt: ids,
    ...(roles ? { roles } : {}),
    ...edited,
    maxTokens: plan.maxTokens,
    ...(plan.sampling ? { sampling: plan.sampling } : {}),
    ...(signal ? { signal } : {}),
  });
  const count = edited.lanes?.length ?? 1;
  const tokens = Array.from({ length: count }, (): number[] => []);
  let summary: GenerateSummary;
  for (;;) {
    const next: IteratorResult<Step, GenerateSummary> = await steps.next();
    if (next.done) {
      summary = next.value;
      break;
    }
    next.value.lanes.forEach((step, lane) => {
      if (step) tokens[lane].push(step.token);
    });
  }
  stopIfAsked(signal);
  if (summary.stopped === 'aborted') throw new TillerError('request/aborted');
  return tokens.map((given, lane) => {
    const ended = given.length > 0 && stop.has(given[given.length - 1]);
    const edits = Object.values(summary.edits[lane] ?? {}).reduce((a, b) => a + b, 0);
    return { ids: ended ? given.slice(0, -1) : given, ended, edits };
  });
}

function readSample(value: unknown): Sample | null {
  if (!Array.isArray(value) || value.length !== 3) return null;
  const [ids, ended, edits] = value as unknown[];
  if (!Array.isArray(ids) || typeof ended !== 'boolean' || typeof edits !== 'number') return null;
  return ids.every((id): id is number => typeof id === 'number') ? { ids, ended, edits } : null;
}

function chunks<T>(values: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, i) => values.slice(i * size, (i + 1) * size));
}

/** How much samples repeat themselves: means over samples, those too short for a number left out of it. */
export interface SampleRepetition {
  readonly distinct1: Estimate | null;
  readonly distinct2: Estimate | null;
  readonly distinct3: Estimate | null;
  readonly longestRepeat: Estimate;
  /** Share of samples that end in a loop. */
  readonly looping: Estimate;
}

export function sampleRepetition(samples: readonly Sample[], resampling: Resampling): SampleRepetition {
  const rows = samples.map(({ ids }) => repetitionOf(ids));
  const known = (values: readonly (number | null)[]): Estimate | null => {
    const given = values.filter((value) => value !== null);
    return given.length > 0 ? meanEstimate(given, resampling) : null;
  };
  return {
    distinct1: known(rows.map((row) => row.distinct1)),
    distinct2: known(rows.map((row) => row.distinct2)),
    distinct3: known(rows.map((row) => row.distinct3)),
    longestRepeat: meanEstimate(
      rows.map((row) => row.longestRepeat),
      resampling,
    ),
    looping: meanEstimate(
      rows.map((row) => (row.loops ? 1 : 0)),
      resampling,
    ),
  };
}
