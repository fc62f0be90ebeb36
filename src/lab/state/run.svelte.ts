import type { GenerateSummary } from '../../engine/engine.ts';
import type { ErrorData } from '../../errors/error.ts';
import { version } from '../../../package.json';
import type { PromptToken, StreamMessage } from '../engine-protocol.ts';
import { laneFactors, type Experiment, type Input } from '../experiment.ts';
import { makeReceipt, type Receipt } from '../receipt.ts';
import { readRun, type RunLane, type RunRecord, type RunState, type RunToken } from '../run-record.ts';
import { lab } from './lab.svelte.ts';
import { asError } from './notices.svelte.ts';
import { session } from './session.svelte.ts';
import { readStored, writeStored } from './stored.ts';

interface LiveLane {
  factor: number;
  tokens: RunToken[];
}

/** Milliseconds that a slider rests before the texts are written again. */
const restMs = 220;
const keepMs = 1000;

/** The texts on the page: streaming, finished, stopped, left over from the last visit, or recorded. */
class Run {
  state = $state<RunState | 'empty'>('empty');
  /** True for the recorded example, until something is run. */
  recorded = $state(false);
  prompt = $state.raw<readonly PromptToken[]>([]);
  lanes = $state<LiveLane[]>([]);
  summary = $state.raw<GenerateSummary | null>(null);
  receipt = $state.raw<Receipt | null>(null);
  error = $state.raw<ErrorData | null>(null);
  /** Per-token shifts are being computed. */
  measuring = $state(false);
  /** What was run; differs from the page once something is changed. */
  ran = $state.raw<Experiment | null>(null);
  #abort: AbortController | null = null;
  #rest: ReturnType<typeof setTimeout> | null = null;
  #waiting = false;
  #input: Input | undefined;
  #kept = 0;

  get busy(): boolean {
    return this.state === 'running';
  }

  show(record: RunRecord, options: { recorded: boolean }): void {
    this.state = record.state;
    this.recorded = options.recorded;
    this.prompt = record.prompt;
    this.lanes = record.lanes.map((lane) => ({ factor: lane.factor, tokens: [...lane.tokens] }));
    this.summary = record.summary;
    this.receipt = record.receipt;
    this.#input = record.input;
  }

  restore(): boolean {
    const record = readRun(readStored('run'));
    if (record) this.show(record, { recorded: false });
    return record !== null;
  }

  keep(): void {
    if (this.recorded || this.state === 'empty') return;
    const { record } = this;
    if (record) writeStored('run', record);
  }

  /** What stands on the page, as it is kept; null where there is nothing. */
  get record(): RunRecord | null {
    if (this.state === 'empty') return null;
    const lanes: RunLane[] = $state.snapshot(this.lanes);
    const { state, prompt, summary, receipt } = this;
    return { state, ...(this.#input ? { input: this.#input } : {}), prompt, lanes, summary, receipt };
  }

  /** Runs once the hand has rested; at once when `ms` is 0. Waits for a model that is still loading. */
  soon(ms = restMs): void {
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = setTimeout(() => {
      this.#rest = null;
      if (session.ready) void this.start();
      else this.#waiting = true;
    }, ms);
  }

  /** To be called when a model has been loaded. */
  modelReady(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    void this.start();
  }

  get waiting(): boolean {
    return this.#waiting;
  }

  stop(): void {
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = null;
    this.#waiting = false;
    this.#abort?.abort();
  }

  async start(): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const current = (): boolean => this.#abort === abort;
    const experiment = lab.experiment;
    const { steering, input, sampling, maxTokens } = experiment;
    const factors = laneFactors(steering);
    this.state = 'running';
    this.recorded = false;
    this.error = null;
    this.summary = null;
    this.receipt = null;
    this.measuring = false;
    this.ran = experiment;
    this.#input = input;
    let begun = false;

    const listen = (message: StreamMessage): void => {
      if (!current()) return;
      if (message.type === 'prompt') {
        this.prompt = message.tokens;
        return;
      }
      // The texts before stay until the first new token is there, so that a drag does not flicker.
      if (!begun) this.lanes = factors.map((factor) => ({ factor, tokens: [] }));
      begun = true;
      message.lanes.forEach((token, i) => {
        if (token) this.lanes[i].tokens.push({ ...token, shift: null });
      });
      this.#keepSometimes();
    };

    try {
      const request = { input, graph: steering.graph, factors, maxTokens, sampling };
      const summary = await session.client.generate(request, listen, abort.signal);
      if (!current()) return;
      this.#finish(experiment, summary);
      await this.#measure(experiment, abort.signal, current);
    } catch (cause) {
      if (!current()) return;
      const error = asError(cause);
      this.measuring = false;
      if (error.code === 'request/aborted') {
        if (this.state === 'running') this.state = 'stopped';
      } else {
        session.noteLoss(error);
        this.error = error;
        this.state = 'failed';
      }
    } finally {
      if (current()) this.keep();
    }
  }

  #finish(experiment: Experiment, summary: GenerateSummary): void {
    this.summary = summary;
    this.state = summary.stopped === 'aborted' ? 'stopped' : 'done';
    const { loaded } = session;
    if (!loaded) return;
    this.receipt = makeReceipt({
      version,
      made: new Date().toISOString(),
      label: loaded.label,
      choice: experiment.model,
      info: loaded.info,
      graph: experiment.steering.graph,
      sampling: experiment.sampling,
      maxTokens: experiment.maxTokens,
      prompt: this.prompt,
      lanes: $state.snapshot(this.lanes),
      summary,
    });
  }

  /** How much steering moved each token's distribution: colours the finished texts. Lane 0 is compared with the first steered one. */
  async #measure(experiment: Experiment, signal: AbortSignal, current: () => boolean): Promise<void> {
    const { graph } = experiment.steering;
    if (!graph || this.lanes.length < 2) return;
    this.measuring = true;
    const lanes = this.lanes.map((lane, i) => ({
      ids: lane.tokens.map((token) => token.id),
      factor: i === 0 ? this.lanes[1].factor : lane.factor,
    }));
    const shifts = await session.client.shifts({ prompt: this.prompt, lanes, graph }, signal);
    if (!current()) return;
    this.lanes = this.lanes.map((lane, i) => ({
      factor: lane.factor,
      tokens: lane.tokens.map((token, t) => ({ ...token, shift: shifts[i][t] ?? null })),
    }));
    this.measuring = false;
  }

  #keepSometimes(): void {
    const now = performance.now();
    if (now - this.#kept < keepMs) return;
    this.#kept = now;
    this.keep();
  }
}

export const run = new Run();
