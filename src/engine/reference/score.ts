import { countsById } from '../../graph/counts.ts';
import type { ModelInfo, ScoreRequest, Scores, SequenceScore, TopToken } from '../engine.ts';
import { factorLanes, normalizeSequences, planFor, requestCount, type NormalSequence } from '../request.ts';
import { forward } from './forward.ts';
import { Interventions } from './interventions.ts';
import type { ReferenceModel } from './model.ts';
import { kl, logprob, topTokens } from './ops/distribution.ts';
import { Pause } from './pause.ts';
import { startRun } from './run.ts';

/** Each sequence in one forward call, unedited and (with a graph) edited side by side. */
export async function score(model: ReferenceModel, info: ModelInfo, now: () => number, request: ScoreRequest): Promise<Scores> {
  const sequences = normalizeSequences(request.sequences, info);
  const top = requestCount(request.top ?? 0, 'top', info.vocab);
  const graph = request.graph ?? null;
  const lanes = factorLanes(request.factor ?? 1).slice(0, graph ? 2 : 1);
  const plan = planFor(graph, info, info.vocab, lanes);
  const pause = new Pause(now, request.signal);
  const counts = lanes.map(() => new Float64Array(plan.edits.length));
  const scores: SequenceScore[] = [];
  for (const sequence of sequences) {
    scores.push(await scoreOne(sequence));
    request.onProgress?.(scores.length, sequences.length);
  }
  return { sequences: scores, unmatched: countsById(plan, counts).unmatched };

  async function scoreOne(sequence: NormalSequence): Promise<SequenceScore> {
    const { ids } = sequence;
    const runs = lanes.map((_, lane) => startRun(model.spec, plan, lane, sequence));
    const last = runs.length - 1;
    const rows = lanes.map(() => ({ logprobs: new Float32Array(ids.length - 1), top: [] as TopToken[][] }));
    const divergence = new Float32Array(ids.length - 1);
    const kept = request.logits ? new Float32Array(ids.length * info.vocab) : null;
    await forward({
      model,
      interventions: new Interventions(plan),
      runs,
      count: ids.length,
      pause,
      logits: 'all',
      onLogits: (position, logits) => {
        if (top > 0) rows.forEach((row, lane) => row.top.push(topTokens(logits[lane], top)));
        kept?.set(logits[last], position * info.vocab);
        if (position + 1 === ids.length) return;
        rows.forEach((row, lane) => (row.logprobs[position] = logprob(logits[lane], ids[position + 1])));
        if (graph) divergence[position] = kl(logits[0], logits[1]);
      },
    });
    runs.forEach((run, lane) => run.counts.forEach((count, edit) => (counts[lane][edit] += count)));
    return {
      logprobs: rows[0].logprobs,
      edited: graph ? rows[1].logprobs : null,
      kl: graph ? divergence : null,
      top: top > 0 ? { unedited: rows[0].top, edited: graph ? rows[1].top : null } : null,
      logits: kept,
      edits: countsById(
        plan,
        runs.map((run) => run.counts),
      ).edits[last],
    };
  }
}
