import type { Plan } from '../../graph/plan.ts';
import type { TopToken } from '../engine.ts';
import type { PrefixTree } from '../prefix-tree.ts';
import { throwIfAborted, type NormalSequence } from '../request.ts';
import type { ScoredRows } from '../scored-rows.ts';
import type { Core } from './core.ts';
import type { Dispatch } from './dispatch.ts';
import { Flight } from './flight.ts';
import type { GraphRun } from './graph-run.ts';
import type { Memory } from './memory.ts';
import { Params } from './params.ts';
import { readCounts, strengthRows, type TreeCall } from './prefix-run.ts';
import { Readback } from './readback.ts';
import { copyRows, type WordRows } from './row-copy.ts';
import { klDispatch, logprobDispatch, NO_TOKEN, rowParams, topkDispatch } from './sampler.ts';
import { paddedWidths } from './scratch.ts';

/** What came of each row of a ScoredRows. */
export interface HeadResults {
  /** By row, in the order of its targets. */
  readonly logprobs: Float32Array[];
  /** By row; 0 without a partner. */
  readonly kl: Float32Array;
  /** By row; empty where not asked for. */
  readonly top: (readonly TopToken[])[];
  /** By node, counts of edits at the logits that only the device can count; null where there are none. */
  readonly counts: Uint32Array[] | null;
}

export interface HeadOptions {
  readonly top: number;
  /** Gets the logits (vocab) of rows that it returns true for. */
  readonly wantsLogits: ((row: number) => boolean) | null;
  readonly onLogits: (row: number, logits: Float32Array) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * The head, apart from the forward calls: these leave normed rows here, and batches of them become logits once all are there. So a row
 * gets its logits once, beside the row that it is compared with, whichever calls computed the two.
 */
export class HeadStage {
  private readonly params: Params;
  private readonly kept: GPUBuffer;
  private readonly width: number;
  /** Rows are kept as logits, edited in their calls, because lanes take logits from each other there. */
  readonly early: boolean;
  /** What gates of edits at the logits look at, kept with the rows: readings and held readings. */
  private readonly gates: { readonly readings: GPUBuffer; readonly held: GPUBuffer; readonly words: number } | null;
  private readonly acts: boolean;

  /**
   * @param memory what is allocated here; the caller frees it
   * @param most rows of a call or batch
   */
  constructor(
    private readonly core: Core,
    private readonly memory: Memory,
    private readonly plan: Plan,
    private readonly sequences: readonly NormalSequence[],
    private readonly tree: PrefixTree,
    private readonly rows: ScoredRows,
    most: number,
  ) {
    this.params = new Params(memory);
    this.early = takesLogits(plan);
    this.width = rowWidth(core, plan);
    this.kept = memory.storage('rows before the head', rows.count * this.width * 4);
    const here = this.early ? [] : logitEdits(plan);
    this.acts = here.some((edit) => tree.nodes.some((node) => plan.strengthOf(node.lane, edit.index) !== null));
    const words = plan.reads.length * 2;
    this.gates = here.some((edit) => edit.gate)
      ? {
          readings: memory.storage('kept readings', rows.count * words * 4),
          held: memory.storage('kept held readings', rows.count * words * 4),
          words,
        }
      : null;
    this.pairs = memory.storage('row pairs', Math.max(1, most) * 8);
    this.slotPairs = memory.storage('slot pairs', Math.max(1, most) * 8);
  }

  private readonly pairs: GPUBuffer;
  private readonly slotPairs: GPUBuffer;

  /**
   * Copies that keep the rows of a call which are looked at, to run after it; none where there are no such rows.
   * @param from the call's normed rows, or with `early` its logits
   */
  keep({ rows, refs, graph }: TreeCall, from: GPUBuffer): Dispatch[] {
    const pairs: number[] = [];
    const slots: number[] = [];
    refs.forEach((ref, at) => {
      const row = ref.wanted ? this.rows.of(ref.node, ref.position) : -1;
      if (row < 0) return;
      pairs.push(at, row);
      slots.push(rows[at].slot, row);
    });
    if (pairs.length === 0) return [];
    const { queue } = this.core.device;
    const count = pairs.length / 2;
    queue.writeBuffer(this.pairs, 0, new Uint32Array(pairs));
    const whole = { stride: this.width, first: 0 };
    const list = [copyRows(this.params, { buffer: from, ...whole }, { buffer: this.kept, ...whole }, this.width, this.pairs, count)];
    if (!this.gates || !graph) return list;
    queue.writeBuffer(this.slotPairs, 0, new Uint32Array(slots));
    const { readings, held, words } = this.gates;
    const state = graph.readingState;
    const at = (buffer: GPUBuffer, first: number): WordRows => ({ buffer, stride: words, first });
    return [
      ...list,
      copyRows(this.params, at(state.buffer, state.readings), at(readings, 0), words, this.pairs, count),
      copyRows(this.params, at(state.buffer, state.held), at(held, 0), words, this.slotPairs, count),
    ];
  }

  async run(batches: readonly (readonly number[])[], options: HeadOptions): Promise<HeadResults> {
    const { core, rows } = this;
    const { vocab } = core.spec;
    const width = paddedWidths(core.spec).vocab;
    const most = batches.reduce((all, batch) => Math.max(all, batch.length), 1);
    const graph = this.acts ? this.graphRun(most) : null;
    const strengths = strengthRows(this.plan, this.tree);
    const mostTargets = batches.reduce(
      (all, batch) =>
        Math.max(
          all,
          batch.reduce((sum, row) => sum + Math.max(1, rows.targets[row].length), 0),
        ),
      1,
    );
    const { memory } = this;
    const buffers = {
      targets: memory.storage('targets', mostTargets * 8),
      scores: memory.storage('scores', mostTargets * 8),
      compared: memory.storage('compared rows', most * 8),
      kl: memory.storage('kl', most * 4),
      top: memory.storage('top tokens', Math.max(1, most * options.top) * 8),
    };
    const uniform = (label: string): GPUBuffer => memory.make(label, 16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    const params = { logprob: uniform('logprob'), kl: uniform('kl'), topk: uniform('topk') };
    const results: HeadResults = {
      logprobs: rows.targets.map((targets) => new Float32Array(targets.length)),
      kl: new Float32Array(rows.count),
      top: options.top > 0 ? Array.from({ length: rows.count }, () => []) : [],
      counts: null,
    };
    const flight = new Flight();

    for (const batch of batches) {
      const { queue } = core.device;
      const place = new Map(batch.map((row, at) => [row, at]));
      // One target a row first, so that a row's log-sum-exp is found at its own number.
      const targets = batch.flatMap((row, at) => [at, rows.targets[row].at(0) ?? NO_TOKEN]);
      batch.forEach((row, at) => rows.targets[row].slice(1).forEach((token) => targets.push(at, token)));
      const compared = batch.flatMap((row, at) => {
        const partner = rows.partner[row];
        return partner < 0 ? [] : [place.get(partner) ?? at, at];
      });
      const gather = this.gather(batch, graph);
      const called = batch.map((row, at) => ({
        token: 0,
        // Held readings are found by slot; here every row has a slot of its own.
        slot: at,
        position: rows.position[row],
        flags: strengths.of(rows.node[row]),
      }));
      const { list, logits } = this.early ? { list: [], logits: core.scratch.logits(batch.length) } : await core.prepareHead(called, graph);
      graph?.select(
        batch.map((row) => {
          const { sequence, lane } = this.tree.nodes[rows.node[row]];
          return { sequence: this.sequences[sequence], position: rows.position[row], lane };
        }),
        0,
        false,
      );
      const view = { binding: { buffer: logits }, vocab, stride: width, rows: batch.length };
      const binding = (buffer: GPUBuffer): GPUBufferBinding => ({ buffer });
      queue.writeBuffer(buffers.targets, 0, new Uint32Array(targets));
      queue.writeBuffer(params.logprob, 0, rowParams(view, targets.length / 2));
      const after = [
        logprobDispatch(view, targets.length / 2, {
          params: binding(params.logprob),
          targets: binding(buffers.targets),
          output: binding(buffers.scores),
        }),
      ];
      if (compared.length > 0) {
        queue.writeBuffer(buffers.compared, 0, new Uint32Array(compared));
        queue.writeBuffer(params.kl, 0, rowParams(view, compared.length / 2));
        after.push(
          klDispatch(view, compared.length / 2, {
            params: binding(params.kl),
            scores: binding(buffers.scores),
            pairs: binding(buffers.compared),
            output: binding(buffers.kl),
          }),
        );
      }
      if (options.top > 0) {
        queue.writeBuffer(params.topk, 0, rowParams(view, batch.length, options.top));
        after.push(topkDispatch(view, { params: binding(params.topk), output: binding(buffers.top) }));
      }
      const wanted = options.wantsLogits && batch.some(options.wantsLogits);
      const readback = Readback.prepare(core.device, core.health, [
        { buffer: buffers.scores, offset: 0, size: targets.length * 4 },
        { buffer: buffers.kl, offset: 0, size: compared.length * 2 },
        { buffer: buffers.top, offset: 0, size: batch.length * options.top * 8 },
        { buffer: logits, offset: 0, size: wanted ? batch.length * width * 4 : 0 },
      ]);
      const before = await core.recorder.compile(gather);
      core.recorder.submit([...before, ...list, ...(await core.recorder.compile(after))], (encoder) => readback.encode(encoder));
      await flight.add(this.take(readback, batch, compared, results, options));
    }
    await flight.land();
    const counts = graph && this.gates ? await this.counts(graph) : null;
    return { ...results, counts };
  }

  private async take(
    readback: Readback,
    batch: readonly number[],
    compared: readonly number[],
    results: HeadResults,
    options: HeadOptions,
  ): Promise<void> {
    const { vocab } = this.core.spec;
    const width = paddedWidths(this.core.spec).vocab;
    const [scoreBytes, klBytes, topBytes, logitBytes] = await readback.take();
    const scores = new Float32Array(scoreBytes);
    const kl = new Float32Array(klBytes);
    const ids = new Uint32Array(topBytes);
    const logprobs = new Float32Array(topBytes);
    const logits = new Float32Array(logitBytes);
    let more = batch.length;
    batch.forEach((row, at) => {
      const found = results.logprobs[row];
      if (found.length > 0) found[0] = scores[2 * at];
      for (let i = 1; i < found.length; i += 1) found[i] = scores[2 * more++];
      if (options.top > 0) {
        results.top[row] = Array.from({ length: Math.min(options.top, vocab) }, (_, i) => {
          const entry = (at * options.top + i) * 2;
          return { id: ids[entry], logprob: logprobs[entry + 1] };
        });
      }
      if (options.wantsLogits?.(row)) options.onLogits(row, logits.subarray(at * width, at * width + vocab));
    });
    for (let pair = 0; pair < kl.length; pair += 1) results.kl[batch[compared[2 * pair + 1]]] = kl[pair];
    throwIfAborted(options.signal);
  }

  /** Copies that put a batch's rows, and what their gates look at, where the head finds them. */
  private gather(batch: readonly number[], graph: GraphRun | null): Dispatch[] {
    const { core, params, width, kept, pairs } = this;
    const to = this.early ? core.scratch.logits(batch.length) : core.scratch.ensure(batch.length).x;
    core.device.queue.writeBuffer(pairs, 0, new Uint32Array(batch.flatMap((row, at) => [row, at])));
    const whole = { stride: width, first: 0 };
    const list = [copyRows(params, { buffer: kept, ...whole }, { buffer: to, ...whole }, width, pairs, batch.length)];
    if (!graph || !this.gates) return list;
    const { readings, held, words } = this.gates;
    const state = graph.readingState;
    const at = (buffer: GPUBuffer, first: number): WordRows => ({ buffer, stride: words, first });
    return [
      ...list,
      copyRows(params, at(readings, 0), at(state.buffer, state.readings), words, pairs, batch.length),
      copyRows(params, at(held, 0), at(state.buffer, state.held), words, pairs, batch.length),
    ];
  }

  private graphRun(most: number): GraphRun | null {
    const { lanes } = strengthRows(this.plan, this.tree);
    return this.core.graphRun(this.plan, { lanes, slots: most, maxRows: most, ringRows: 0, maxPositions: most });
  }

  private async counts(graph: GraphRun): Promise<Uint32Array[]> {
    return (await readCounts(this.core, graph)).map((row) => row.slice());
  }
}

/** Whether some lane takes logits from another. */
const takesLogits = (plan: Plan): boolean =>
  plan.edits.some(({ point, source }) => source !== null && (point === 'logits' || source.point === 'logits'));

/** f32 a row that waits for the head takes. */
export const rowWidth = (core: Core, plan: Plan): number => paddedWidths(core.spec)[takesLogits(plan) ? 'vocab' : 'hidden'];

export const logitEdits = (plan: Plan): Plan['edits'] => plan.edits.filter((edit) => edit.point === 'logits');
