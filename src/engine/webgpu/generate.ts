import { TillerError } from '../../errors/error.ts';
import { countsById, type EditCounts } from '../../graph/counts.ts';
import type { Plan } from '../../graph/plan.ts';
import type { GenerateRequest, GenerateSummary, LaneStep, Step } from '../engine.ts';
import { normalizeGenerate, planFor, type NormalGenerate } from '../request.ts';
import { selects, type TokenRow } from '../rows.ts';
import { roundRows, type Core } from './core.ts';
import { untilKeys, untilNorm } from './forward.ts';
import type { GraphRun, RowRef } from './graph-run.ts';
import { Memory } from './memory.ts';
import { Readback } from './readback.ts';
import { LAST_PROMPT_BIT, RING, UNCOUNTED_BIT, type CallRow } from './row-table.ts';
import { NO_TOKEN, sampleDispatch, sampleParams } from './sampler.ts';
import { paddedWidths } from './scratch.ts';

/** Milliseconds of decoding between two read-backs: short enough to look like a stream, long enough to hide the mapping. */
const READBACK_MS = 50;

/** Positions before `end` where some lane's rows may differ from the unedited run, or are kept for another: the first of them. */
function firstTouched(plan: Plan, lanes: number, sequence: TokenRow, end: number): number {
  const selectors = new Set(
    plan.edits.flatMap((edit) => {
      const active = Array.from({ length: lanes }, (_, lane) => lane).some((lane) => plan.strengthOf(lane, edit.index) !== null);
      return active ? [edit.tokens, ...(edit.source ? [edit.source.tokens] : [])] : [];
    }),
  );
  for (let position = 0; position < end; position += 1) {
    for (const selector of selectors) if (selects(selector, sequence, position)) return position;
  }
  return end;
}

/** Whether an edit that waits for the reading of the last prompt token acts before that token. */
function needsWholePrompt(plan: Plan, lanes: number, sequence: TokenRow): boolean {
  return plan.edits.some(
    (edit) =>
      edit.gate?.hold === 'last' &&
      Array.from({ length: lanes }, (_, lane) => lane).some((lane) => plan.strengthOf(lane, edit.index) !== null) &&
      Array.from({ length: sequence.promptLength - 1 }, (_, p) => p).some((p) => selects(edit.tokens, sequence, p)),
  );
}

/** Tokens of every lane as they come. See Engine.generate. */
export async function* generate(core: Core, request: GenerateRequest): AsyncGenerator<Step, GenerateSummary, void> {
  const normal = normalizeGenerate(request, core.info);
  const plan = planFor(normal.graph, core.info, core.info.vocab, normal.lanes);
  if (request.signal?.aborted) throw new TillerError('request/aborted');
  const release = await core.acquire();
  const memory = new Memory(core.device);
  try {
    return yield* new Generation(core, normal, plan, request.signal, memory).run();
  } finally {
    memory.freeAll();
    release();
  }
}

interface Decoder {
  /** Steps index, index + 1, ...; null where a lane has ended. Counts are up to the last of them. */
  steps(index: number, count: number): Promise<{ readonly steps: (LaneStep | null)[][]; readonly read: EditCounts }>;
}

class Generation {
  private readonly lanes: number;
  private readonly prompt: readonly number[];
  private readonly sequences: (TokenRow & { ids: number[] })[];
  private graph: GraphRun | null = null;
  private reused = 0;
  private filled = false;

  constructor(
    private readonly core: Core,
    private readonly normal: NormalGenerate,
    private readonly plan: Plan,
    private readonly signal: AbortSignal | undefined,
    private readonly memory: Memory,
  ) {
    this.lanes = normal.lanes.length;
    this.prompt = normal.prompt;
    this.sequences = normal.lanes.map(() => ({ ids: [...normal.prompt], promptLength: normal.prompt.length, roles: normal.roles }));
  }

  async *run(): AsyncGenerator<Step, GenerateSummary, void> {
    const { core } = this;
    const dispatches = core.recorder.dispatches;
    const submits = core.recorder.submits;
    const started = core.now();
    let prefilled = started;
    let stopped: GenerateSummary['stopped'] = 'length';
    let decodedTokens = 0;
    let counts: EditCounts = countsById(
      this.plan,
      this.sequences.map(() => []),
    );
    try {
      await this.prefill();
      this.filled = true;
      const decoder = await this.decoder();
      const { maxTokens } = this.normal;
      let batch = 1;
      for (let index = 0; index < maxTokens;) {
        const size = Math.min(batch, maxTokens - index);
        const before = core.now();
        const { steps, read } = await decoder.steps(index, size);
        counts = read;
        if (index === 0) prefilled = core.now();
        else batch = nextBatch(core.now() - before, size, this.positional);
        if (index === 0 && this.positional) batch = 2;
        for (const lanes of steps) {
          lanes.forEach((step, lane) => {
            if (step) this.sequences[lane].ids.push(step.token);
          });
          if (index > 0) decodedTokens += lanes.filter(Boolean).length;
          if (lanes.every((step) => step === null)) {
            stopped = 'stop';
            break;
          }
          yield { index, lanes };
          index += 1;
        }
        if (stopped === 'stop' || this.allEnded(steps)) {
          stopped = 'stop';
          break;
        }
        if (this.signal?.aborted) {
          stopped = 'aborted';
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
      ...counts,
      stopped,
      timing: {
        promptTokens: this.prompt.length,
        reusedTokens: this.reused,
        prefillMs: prefilled - started,
        decodeMs: done - prefilled,
        decodedTokens,
        dispatches: core.recorder.dispatches - dispatches,
        submits: core.recorder.submits - submits,
      },
    };
  }

  private allEnded(steps: readonly (readonly (LaneStep | null)[])[]): boolean {
    const last = steps.at(-1);
    return last !== undefined && last.every((step) => step === null || this.normal.stop.has(step.token));
  }

  /** Selections of the coming tokens are known before the tokens are. */
  private get positional(): boolean {
    return (
      this.plan.edits.every((edit) => edit.tokens.positional && (edit.source?.tokens.positional ?? true)) &&
      this.plan.reads.every((read) => read.tokens.positional)
    );
  }

  /**
   * Fills the cache for all prompt tokens but the last, which is the first step of decoding. What no edit touches is computed
   * once, or found from an earlier request, and copied to every lane.
   */
  private async prefill(): Promise<void> {
    const { core, plan, lanes, prompt } = this;
    const [sequence] = this.sequences;
    const end = prompt.length - 1;
    const touched = firstTouched(plan, lanes, sequence, end);
    const whole = needsWholePrompt(plan, lanes, sequence);
    core.model.cache.ensure(
      Math.max(2, lanes),
      Math.min(core.info.limits.maxContext, roundCapacity(prompt.length + this.normal.maxTokens)),
    );

    const found = await this.findPrefix(touched);
    const wholeRows = whole ? (prompt.length - touched) * lanes : 0;
    const perCall = Math.max(1, Math.floor(core.chunkRows / lanes));
    const maxPositions = whole ? prompt.length - touched : perCall;
    const maxRows = Math.max(wholeRows, core.chunkRows, lanes);
    this.graph = core.graphRun(plan, {
      lanes: this.sequences.map((_, lane) => lane),
      slots: core.model.cache.slots,
      maxRows,
      ringRows: RING * lanes,
      maxPositions,
    });
    for (let slot = 0; slot < core.model.cache.slots; slot += 1) core.model.cache.forget(slot);

    for (let at = found; at < touched;) {
      const to = Math.min(touched, at + roundRows(core.chunkRows));
      await this.call([0], at, to, false, null);
      at = to;
    }
    if (lanes > 1 && touched > 0) {
      const copies = Array.from({ length: lanes - 1 }, (_, index) => ({ from: 0, to: index + 1, positions: touched }));
      core.recorder.submit(await core.recorder.compile(core.model.cache.copy(core.model.params, copies)));
    }
    const all = this.sequences.map((_, lane) => lane);
    if (whole) {
      await this.call(all, touched, prompt.length, true, this.graph);
      return;
    }
    for (let at = touched; at < end;) {
      const to = Math.min(end, at + perCall);
      await this.call(all, at, to, true, this.graph);
      at = to;
    }
  }

  /** Longest untouched prefix that is already in the cache, moved to slot 0. */
  private async findPrefix(limit: number): Promise<number> {
    const { core, prompt } = this;
    const { cache } = core.model;
    const found = cache.findClean(prompt, limit);
    if (found.length > 0 && found.slot !== 0) {
      const copies = [{ from: found.slot, to: 0, positions: found.length }];
      core.recorder.submit(await core.recorder.compile(cache.copy(core.model.params, copies)));
    }
    this.reused = found.length;
    return found.length;
  }

  /** Positions [from, to) of some lanes, through the layers without logits. */
  private async call(lanes: readonly number[], from: number, to: number, complete: boolean, graph: GraphRun | null): Promise<void> {
    const { core, prompt } = this;
    const rows: CallRow[] = [];
    const refs: RowRef[] = [];
    for (const lane of lanes) {
      for (let position = from; position < to; position += 1) {
        // The last prompt token is here only for the reading that gates earlier positions; it comes again as the first step.
        const last = position === prompt.length - 1 ? LAST_PROMPT_BIT | UNCOUNTED_BIT : 0;
        rows.push({ token: prompt[position], slot: lane, position, flags: lane | last });
        refs.push({ sequence: this.sequences[lane], position, lane });
      }
    }
    graph?.select(refs, 0);
    // Logits of these positions are read by nobody, but an edit there acts on them and is counted.
    const logits = complete && (graph?.touches('logits', -1) ?? false);
    const { list } = await core.prepare(rows, {
      taps: graph,
      logits,
      until: complete && graph !== null ? untilNorm(core.spec) : untilKeys(core.spec),
    });
    core.recorder.submit(list);
    await core.settle(this.signal);
  }

  /** The loop of decoding: one recorded list, replayed for every token; rows advance on the device. */
  private async decoder(): Promise<Decoder> {
    const { core, memory, lanes, normal, graph } = this;
    const width = paddedWidths(core.spec).vocab;
    const last = this.prompt.length - 1;
    const rows = this.sequences.map((_, lane) => ({ token: this.prompt[last], slot: lane, position: last, flags: lane | LAST_PROMPT_BIT }));
    const { list, logits, activations } = await core.prepare(rows, { taps: graph, logits: true, until: untilNorm(core.spec) });
    if (!logits) throw new TillerError('internal', { problem: 'no logits' });
    const output = memory.storage('sampled', RING * lanes * 8);
    const seeds = memory.storage('seeds', lanes * 4);
    const stops = memory.storage('stop tokens', Math.max(1, normal.stop.size) * 4);
    const params = memory.make('sampling', 32, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    const view = { binding: { buffer: logits }, vocab: core.spec.vocab, stride: width, rows: lanes };
    const { queue } = core.device;
    queue.writeBuffer(seeds, 0, new Uint32Array(normal.lanes.map((lane) => lane.seed)));
    queue.writeBuffer(stops, 0, new Uint32Array([...normal.stop].filter((id) => id < core.spec.vocab)));
    queue.writeBuffer(params, 0, sampleParams(view, normal, [...normal.stop].filter((id) => id < core.spec.vocab).length));
    const sample = await core.recorder.compile([
      sampleDispatch(
        view,
        {
          params: { buffer: params },
          rows: { buffer: activations.table },
          seeds: { buffer: seeds },
          stops: { buffer: stops },
          output: { buffer: output },
        },
        normal.temperature === 0,
      ),
    ]);
    const step = [...list, ...sample];

    return {
      steps: async (index, count) => {
        for (let i = 0; i < count; i += 1) {
          const position = last + index + i;
          const refs = this.sequences.map((sequence, lane) => ({ sequence, position, lane }));
          graph?.select(refs, (index + i) % RING);
        }
        const readback = Readback.prepare(core.device, core.health, [
          { buffer: output, offset: 0, size: RING * lanes * 8 },
          ...(graph ? [graph.counts] : []),
        ]);
        for (let i = 0; i < count; i += 1) {
          core.recorder.submit(step, i === count - 1 ? (encoder) => readback.encode(encoder) : undefined);
        }
        const [sampled, counted] = await readback.take();
        const words = new Uint32Array(sampled);
        const floats = new Float32Array(sampled);
        const steps = Array.from({ length: count }, (_, i) =>
          this.sequences.map((_sequence, lane) => {
            const at = (((index + i) % RING) * lanes + lane) * 2;
            return words[at] === NO_TOKEN ? null : { token: words[at], logprob: floats[at + 1] };
          }),
        );
        return { steps, read: countsById(this.plan, graph ? graph.countsOf(counted) : this.sequences.map(() => [])) };
      },
    };
  }

  /** Notes what the slots now hold, for the next request. */
  private keepCache(): void {
    const { core, plan } = this;
    if (!this.filled) return;
    this.sequences.forEach((sequence, lane) => {
      // The last token was never fed back, so its keys are not there.
      const tokens = sequence.ids.slice(0, -1);
      const active = plan.edits.filter((edit) => plan.strengthOf(lane, edit.index) !== null);
      let clean = 0;
      const touches = (p: number): boolean => active.some((edit) => selects(edit.tokens, sequence, p));
      while (clean < tokens.length && !touches(clean)) clean += 1;
      core.model.cache.keep(lane, { tokens, clean });
    });
  }
}

/** Tokens to compute before the next read-back: about READBACK_MS worth of them. */
function nextBatch(elapsed: number, size: number, positional: boolean): number {
  if (!positional) return 1;
  return Math.max(1, Math.min(RING, Math.round((READBACK_MS * size) / Math.max(elapsed, 0.01))));
}

/** Room for growth, so that a slightly longer prompt does not throw the cache away. */
const roundCapacity = (tokens: number): number => Math.ceil(tokens / 256) * 256;
