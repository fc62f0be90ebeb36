import { countsById } from '../../graph/counts.ts';
import type { Plan } from '../../graph/plan.ts';
import type { LaneScore, ModelInfo, ScoreRequest, Scores, SequenceScore, TopToken } from '../engine.ts';
import { normalizeScore, planFor } from '../request.ts';
import { forward } from './forward.ts';
import { Interventions } from './interventions.ts';
import type { ReferenceModel } from './model.ts';
import { kl, logprob, topTokens } from './ops/distribution.ts';
import { Pause } from '../pause.ts';
import { startRun } from './run.ts';

/** Edited lanes that run beside the unedited one in one forward call. */
const LANES_A_CALL = 8;

interface LaneRows {
  readonly logprobs: Float32Array;
  readonly kl: Float32Array | null;
  readonly top: TopToken[][];
  readonly edits: Float64Array;
}

/** Each sequence by itself, unedited and edited side by side, a few lanes at a time: nothing is shared, nothing left out. */
export async function score(model: ReferenceModel, info: ModelInfo, now: () => number, request: ScoreRequest): Promise<Scores> {
  const normal = normalizeScore(request, info, info.vocab);
  const { sequences, lanes, top } = normal;
  const plan = planFor(normal.graph, info, info.vocab, lanes);
  const pause = new Pause(now, request.signal);
  const counts = lanes.map(() => new Float64Array(plan.edits.length));
  const scores: SequenceScore[] = [];
  for (const index of sequences.keys()) {
    scores.push(await scoreOne(index));
    request.onProgress?.(scores.length, sequences.length);
  }
  const positions = sequences.reduce((sum, { ids }) => sum + ids.length, 0) * lanes.length;
  return { sequences: scores, unmatched: countsById(plan, counts).unmatched, work: { positions, computed: positions } };

  async function scoreOne(index: number): Promise<SequenceScore> {
    const { ids } = sequences[index];
    const from = normal.from[index];
    const kept = normal.logits ? new Float32Array(ids.length * info.vocab) : null;
    const rows = lanes.map((_, lane): LaneRows => ({
      logprobs: new Float32Array(ids.length - from),
      kl: normal.kl && lane > 0 ? new Float32Array(ids.length - from) : null,
      top: ids.map(() => []),
      edits: new Float64Array(plan.edits.length),
    }));
    if (lanes.length === 1) await forwardLanes(index, [0], rows, kept);
    for (let first = 1; first < lanes.length; first += LANES_A_CALL) {
      const chosen = lanes.map((_, lane) => lane).filter((lane) => lane >= first && lane < first + LANES_A_CALL);
      await forwardLanes(index, [0, ...chosen], rows, kept);
    }
    rows.forEach((row, lane) => row.edits.forEach((count, edit) => (counts[lane][edit] += count)));
    const edits = countsById(
      plan,
      rows.map((row) => row.edits),
    ).edits;
    const edited = rows.slice(1).map((row, at): LaneScore => ({ logprobs: row.logprobs, kl: row.kl, edits: edits[at + 1] }));
    const first = edited.at(0);
    return {
      from,
      logprobs: rows[0].logprobs,
      lanes: edited,
      edited: first?.logprobs ?? null,
      kl: first?.kl ?? null,
      top: top > 0 ? { unedited: rows[0].top, edited: first ? rows[1].top : null } : null,
      logits: kept,
      edits: first?.edits ?? edits[0],
    };
  }

  /** @param chosen lanes whose results are wanted, the unedited one first */
  async function forwardLanes(
    index: number,
    chosen: readonly number[],
    rows: readonly LaneRows[],
    kept: Float32Array | null,
  ): Promise<void> {
    const sequence = sequences[index];
    const { ids } = sequence;
    const from = normal.from[index];
    const { first, end } = normal.looked[index];
    const running = withSources(plan, chosen);
    const runs = running.map((lane) => startRun(model.spec, plan, lane, sequence));
    const at = chosen.map((lane) => running.indexOf(lane));
    await forward({
      model,
      interventions: new Interventions(plan),
      runs,
      count: ids.length,
      pause,
      logits: 'all',
      onLogits: (position, logits) => {
        if (position < first || position >= end) return;
        chosen.forEach((lane, i) => {
          const row = rows[lane];
          const values = logits[at[i]];
          if (top > 0 && lane <= 1) row.top[position] = topTokens(values, top);
          if (kept && lane === Math.min(1, lanes.length - 1)) kept.set(values, position * info.vocab);
          if (position + 1 < from || position + 1 >= ids.length) return;
          row.logprobs[position + 1 - from] = logprob(values, ids[position + 1]);
          if (row.kl) row.kl[position + 1 - from] = kl(logits[0], values);
        });
      },
    });
    chosen.forEach((lane, i) => rows[lane].edits.set(runs[at[i]].counts));
  }
}

/** These lanes and those that their edits take vectors from, ascending. */
function withSources(plan: Plan, lanes: readonly number[]): number[] {
  const all = new Set(lanes);
  for (const lane of all) {
    for (const { source, index } of plan.edits) if (source && plan.strengthOf(lane, index) !== null) all.add(source.lane);
  }
  return [...all].sort((a, b) => a - b);
}
