import { TillerError } from '../../errors/error.ts';
import { countsById } from '../../graph/counts.ts';
import type { GenerateRequest, GenerateSummary, LaneStep, ModelInfo, Step } from '../engine.ts';
import { normalizeGenerate, planFor } from '../request.ts';
import { forward } from './forward.ts';
import { Interventions } from './interventions.ts';
import type { ReferenceModel } from './model.ts';
import { logprob } from './ops/distribution.ts';
import { sample } from './ops/sample.ts';
import { Pause } from '../pause.ts';
import { startRun, type LaneRun } from './run.ts';

/**
 * Tokens of every lane, one step at a time. The prompt passes in one forward call, then each step feeds back one token per lane that
 * has not ended. A signal that is set before the start throws request/aborted; set later, it ends the run with `stopped: 'aborted'`.
 */
export async function* generate(
  model: ReferenceModel,
  info: ModelInfo,
  now: () => number,
  request: GenerateRequest,
): AsyncGenerator<Step, GenerateSummary, void> {
  const normal = normalizeGenerate(request, info);
  const plan = planFor(normal.graph, info, info.vocab, normal.lanes);
  const interventions = new Interventions(plan);
  const pause = new Pause(now, request.signal);
  const sequence = { ids: normal.prompt, promptLength: normal.prompt.length, roles: normal.roles };
  const runs = normal.lanes.map((_, lane) => startRun(model.spec, plan, lane, sequence));
  const ended = runs.map(() => false);
  const started = now();
  let prefilled = started;
  let decodedTokens = 0;
  let stopped: GenerateSummary['stopped'] = 'length';

  for (let index = 0; index < normal.maxTokens; index++) {
    const active = runs.filter((run) => !ended[run.lane]);
    let steps: (LaneStep | null)[];
    try {
      steps = await nextTokens(active);
    } catch (error) {
      if (!(error instanceof TillerError && error.code === 'request/aborted')) throw error;
      stopped = 'aborted';
      break;
    }
    if (index === 0) prefilled = now();
    else decodedTokens += active.length;
    for (const run of active) {
      const step = steps[run.lane];
      if (!step) continue;
      run.ids.push(step.token);
      if (normal.stop.has(step.token)) ended[run.lane] = true;
    }
    yield { index, lanes: steps };
    if (ended.every(Boolean)) {
      stopped = 'stop';
      break;
    }
  }

  const done = now();
  return {
    ...countsById(
      plan,
      runs.map((run) => run.counts),
    ),
    stopped,
    timing: {
      promptTokens: normal.prompt.length,
      reusedTokens: 0,
      prefillMs: prefilled - started,
      decodeMs: done - prefilled,
      decodedTokens,
      dispatches: 0,
      submits: 0,
    },
  };

  async function nextTokens(active: readonly LaneRun[]): Promise<(LaneStep | null)[]> {
    const steps: (LaneStep | null)[] = runs.map(() => null);
    const count = active[0].ids.length - active[0].cache.length;
    await forward({
      model,
      interventions,
      runs: active,
      count,
      pause,
      logits: 'last',
      onLogits: (position, logits) => {
        active.forEach((run, at) => {
          const token = sample(logits[at], normal, normal.lanes[run.lane].seed, position);
          steps[run.lane] = { token, logprob: logprob(logits[at], token) };
        });
      },
    });
    return steps;
  }
}
