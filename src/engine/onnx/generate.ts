import { TillerError } from '../../errors/error.ts';
import { countsById } from '../../graph/counts.ts';
import type { Plan } from '../../graph/plan.ts';
import type { GenerateRequest, GenerateSummary, LaneStep, Step } from '../engine.ts';
import { sample } from '../reference/ops/sample.ts';
import { normalizeGenerate, planFor, throwIfAborted, type NormalGenerate } from '../request.ts';
import { selects, type TokenRow } from '../rows.ts';
import { active, EditTap, MAX_ROWS, type Core } from './core.ts';
import type { PointTap, Segment } from './forward.ts';
import { editedRow, Interventions, startRun, type EditedRun } from './interventions.ts';

/** Room for growth, so that a slightly longer prompt does not throw the cache away. */
const roundCapacity = (tokens: number): number => Math.ceil(tokens / 256) * 256;

/** Tokens of every lane as they come. See Engine.generate. */
export async function* generate(core: Core, request: GenerateRequest): AsyncGenerator<Step, GenerateSummary, void> {
  const normal = normalizeGenerate(request, core.info);
  const plan = planFor(normal.graph, core.info, core.info.vocab, normal.lanes);
  throwIfAborted(request.signal);
  const release = await core.acquire();
  try {
    return yield* new Generation(core, normal, plan, request.signal).run();
  } finally {
    release();
  }
}

interface LaneRun extends EditedRun {
  readonly ids: number[];
}

class Generation {
  private readonly runs: readonly LaneRun[];
  /** By lane, positions whose keys and values are in the cache. */
  private readonly fed: number[];
  private readonly ended: boolean[];
  private readonly interventions: Interventions;
  private readonly edits: boolean;
  private reused = 0;

  constructor(
    private readonly core: Core,
    private readonly normal: NormalGenerate,
    private readonly plan: Plan,
    private readonly signal: AbortSignal | undefined,
  ) {
    const { prompt, roles, lanes } = normal;
    this.runs = lanes.map((_, lane) => ({
      ...startRun(plan, lane, { ids: prompt, promptLength: prompt.length, roles }),
      ids: [...prompt],
    }));
    this.fed = lanes.map(() => 0);
    this.ended = lanes.map(() => false);
    this.interventions = new Interventions(plan, true);
    this.edits = active(
      plan,
      lanes.map((_, lane) => lane),
    );
  }

  async *run(): AsyncGenerator<Step, GenerateSummary, void> {
    const { core, normal, runs } = this;
    const started = core.now();
    let prefilled = started;
    let decodedTokens = 0;
    let stopped: GenerateSummary['stopped'] = 'length';
    try {
      for (let index = 0; index < normal.maxTokens; index++) {
        const steps = index === 0 ? await this.prefill() : await this.decode();
        if (index === 0) prefilled = core.now();
        else decodedTokens += steps.filter(Boolean).length;
        steps.forEach((step, lane) => {
          if (!step) return;
          runs[lane].ids.push(step.token);
          this.ended[lane] = normal.stop.has(step.token);
        });
        yield { index, lanes: steps };
        if (this.ended.every(Boolean)) {
          stopped = 'stop';
          break;
        }
      }
    } catch (error) {
      if (!(error instanceof TillerError && error.code === 'request/aborted')) throw error;
      stopped = 'aborted';
    } finally {
      this.keepCache();
    }
    const done = core.now();
    if (stopped === 'aborted' && prefilled === started) prefilled = done;
    return {
      ...countsById(
        this.plan,
        runs.map(({ counts }) => counts),
      ),
      stopped,
      timing: {
        promptTokens: normal.prompt.length,
        reusedTokens: this.reused,
        prefillMs: prefilled - started,
        decodeMs: done - prefilled,
        decodedTokens,
        dispatches: 0,
        submits: 0,
      },
    };
  }

  /** The prompt, up to the first token of every lane. What no edit touches is computed once, or found from an earlier request. */
  private async prefill(): Promise<(LaneStep | null)[]> {
    const { core, plan, runs, normal } = this;
    const { cache } = core;
    const lanes = runs.length;
    const length = normal.prompt.length;
    const touched = firstTouched(plan, lanes, runs[0], length - 1);
    cache.ensure(lanes, Math.min(core.info.limits.maxContext, roundCapacity(length + normal.maxTokens)));
    const found = cache.findClean(normal.prompt, touched);
    if (found.length > 0 && found.slot !== 0) cache.copy(found.slot, 0, found.length);
    this.reused = found.length;
    cache.forgetAll();
    const lastLayer = { point: 'z' as const, layer: core.model.spec.layers - 1 };
    for (let at = found.length; at < touched;) {
      const to = Math.min(touched, at + MAX_ROWS);
      const segments = [{ slot: 0, from: at, ids: normal.prompt.slice(at, to) }];
      await core.forward({ segments, taps: [], looked: [], until: lastLayer, signal: this.signal });
      at = to;
    }
    for (let lane = 1; lane < lanes; lane++) if (touched > 0) cache.copy(0, lane, touched);
    const all = runs.map(({ lane }) => lane);
    const most = needsWholePrompt(plan, lanes, runs[0]) ? length : Math.max(1, Math.floor(MAX_ROWS / lanes));
    let at = touched;
    for (; at + most < length; at += most) await this.advance(all, at, at + most, false);
    return this.advance(all, at, length, true);
  }

  /** One token of each lane that has not ended. */
  private decode(): Promise<(LaneStep | null)[]> {
    const going = this.runs.filter(({ lane }) => !this.ended[lane]).map(({ lane }) => lane);
    const { length } = this.runs[going[0]].ids;
    return this.advance(going, length - 1, length, true);
  }

  /** Feeds positions [from, to) of some lanes, and takes the next token of each where it is asked for. */
  private async advance(lanes: readonly number[], from: number, to: number, sampled: boolean): Promise<(LaneStep | null)[]> {
    const { core, runs, normal } = this;
    const { vocab } = core.model.spec;
    const segments = lanes.map((lane): Segment => ({ slot: lane, from, ids: runs[lane].ids.slice(from, to) }));
    const rows = this.edits
      ? lanes.flatMap((lane) => Array.from({ length: to - from }, (_, at) => editedRow(this.plan, runs[lane], from + at)))
      : [];
    const taps: PointTap[] = this.edits ? [new EditTap(this.interventions, rows)] : [];
    const steps: (LaneStep | null)[] = runs.map(() => null);
    await core.forward({
      segments,
      taps,
      looked: sampled ? lanes.map((_, index) => (index + 1) * (to - from) - 1) : [],
      signal: this.signal,
      onLogits: async (logits, first, count) => {
        const totals = await core.model.distributions.totals(logits);
        for (let at = 0; at < count; at++) {
          const lane = lanes[first + at];
          const row = logits.subarray(at * vocab, (at + 1) * vocab);
          const token = sample(row, normal, normal.lanes[lane].seed, to - 1);
          steps[lane] = { token, logprob: row[token] - totals[at] };
        }
      },
    });
    for (const lane of lanes) this.fed[lane] = to;
    return steps;
  }

  /** Notes what the slots now hold, for the next request. */
  private keepCache(): void {
    const { core, plan } = this;
    for (const run of this.runs) {
      const tokens = run.ids.slice(0, this.fed[run.lane]);
      const clean = firstTouched(plan, [run.lane], run, tokens.length);
      if (tokens.length > 0) core.cache.keep(run.lane, tokens, clean);
    }
  }
}

const lanesOf = (lanes: number | readonly number[]): readonly number[] =>
  typeof lanes === 'number' ? Array.from({ length: lanes }, (_, lane) => lane) : lanes;

/** Positions before `end` where some lane's rows may differ from the unedited run, or are kept for another: the first of them. */
function firstTouched(plan: Plan, lanes: number | readonly number[], sequence: TokenRow, end: number): number {
  const selectors = new Set(
    plan.edits.flatMap((edit) =>
      lanesOf(lanes).some((lane) => plan.strengthOf(lane, edit.index) !== null)
        ? [edit.tokens, ...(edit.source ? [edit.source.tokens] : [])]
        : [],
    ),
  );
  for (let position = 0; position < end; position++) {
    for (const selector of selectors) if (selects(selector, sequence, position)) return position;
  }
  return end;
}

/** Whether an edit that waits for the reading of the last prompt token acts before that token. */
function needsWholePrompt(plan: Plan, lanes: number, sequence: TokenRow): boolean {
  return plan.edits.some(
    (edit) =>
      edit.gate?.hold === 'last' &&
      lanesOf(lanes).some((lane) => plan.strengthOf(lane, edit.index) !== null) &&
      Array.from({ length: sequence.promptLength - 1 }, (_, p) => p).some((p) => selects(edit.tokens, sequence, p)),
  );
}
