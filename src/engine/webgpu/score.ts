import { countsById } from '../../graph/counts.ts';
import type { Plan } from '../../graph/plan.ts';
import { SelectedCounts } from '../edit-counts.ts';
import type { LaneScore, ScoreRequest, Scores, SequenceScore, TopToken } from '../engine.ts';
import { pathOf, seenByRunning, type PrefixRun, type PrefixTree } from '../prefix-tree.ts';
import { normalizeScore, planFor, throwIfAborted, type NormalScore } from '../request.ts';
import { scoreBlocks } from '../score-blocks.ts';
import { ScoredRows } from '../scored-rows.ts';
import type { Core } from './core.ts';
import { untilKeys, untilNorm } from './forward.ts';
import { HeadStage, logitEdits, rowWidth, type HeadResults } from './head-stage.ts';
import { Memory } from './memory.ts';
import { mostPositions, mostRows, runPrefixTree } from './prefix-run.ts';
import { MAX_TOP } from './sampler.ts';
import { paddedWidths } from './scratch.ts';

/** Most bytes of logits that one batch takes on the device, and of rows that wait for it. */
const LOGIT_BYTES = 64 * 1048576;
const KEPT_BYTES = 64 * 1048576;

/**
 * Log-probabilities of given sequences, unedited and edited, reduced on the device. See Engine.score. Sequences and conditions are taken in
 * blocks; what those of a block share is computed once.
 */
export async function score(core: Core, request: ScoreRequest): Promise<Scores> {
  const normal = normalizeScore(request, core.info, MAX_TOP);
  const plan = planFor(normal.graph, core.info, core.info.vocab, normal.lanes);
  throwIfAborted(request.signal);
  const release = await core.acquire();
  try {
    const scoring = new Scoring(core, request, normal, plan);
    for (const tree of scoring.blocks()) await scoring.run(tree);
    return scoring.scores();
  } finally {
    release();
  }
}

class Scoring {
  private readonly logprobs: Float32Array[][];
  private readonly kl: Float32Array[][];
  /** By sequence, then unedited and first lane. */
  private readonly top: (readonly TopToken[])[][][];
  private readonly logits: (Float32Array | null)[];
  private readonly counts: Uint32Array[][];
  private readonly selected: SelectedCounts;
  /** Edits at the logits whose gates are seen there only, so that all their rows have to be looked at. */
  private readonly gatedLogits: Plan['edits'];
  private readonly positions: number;
  private computed = 0;
  private done = 0;

  constructor(
    private readonly core: Core,
    private readonly request: ScoreRequest,
    private readonly normal: NormalScore,
    private readonly plan: Plan,
  ) {
    const { sequences, lanes, from, top, logits } = normal;
    const each = (): Float32Array[][] => sequences.map(({ ids }, s) => lanes.map(() => new Float32Array(ids.length - from[s])));
    this.logprobs = each();
    this.kl = normal.kl ? each() : [];
    this.top = top > 0 ? sequences.map(({ ids }) => lanes.slice(0, 2).map(() => ids.map(() => []))) : [];
    this.logits = sequences.map(({ ids }) => (logits ? new Float32Array(ids.length * core.spec.vocab) : null));
    this.selected = new SelectedCounts(plan, sequences);
    this.counts = sequences.map(() => []);
    this.gatedLogits = logitEdits(plan).filter(seenByRunning);
    this.positions = sequences.reduce((sum, { ids }) => sum + ids.length, 0) * lanes.length;
  }

  blocks(): Generator<PrefixTree, void, void> {
    const bytes = Math.min(KEPT_BYTES, this.core.memory.bindingLimit);
    const rows = Math.max(1, Math.floor(bytes / (rowWidth(this.core, this.plan) * 4)));
    return scoreBlocks(this.plan, this.normal, { rows, positions: mostPositions(this.plan) });
  }

  async run(tree: PrefixTree): Promise<void> {
    const { core, plan, normal, request } = this;
    const gated = (lane: number): boolean => this.gatedLogits.some((edit) => plan.strengthOf(lane, edit.index) !== null);
    const rows = new ScoredRows(tree, normal, gated);
    const width = paddedWidths(core.spec).vocab;
    const batchRows = Math.max(2, Math.min(core.chunkRows, Math.floor(Math.min(LOGIT_BYTES, core.memory.bindingLimit) / (width * 4))));
    const callRows = rowWidth(core, plan) === width ? batchRows : core.chunkRows;
    const most = Math.max(mostRows(tree, callRows), batchRows);
    // Everything that grows grows before graph runs are made, which name buffers.
    core.scratch.ensure(most);
    const memory = new Memory(core.device);
    const counted = plan.edits.some(seenByRunning);
    const total = tree.nodes.reduce((sum, { from, to, lone }) => sum + (to - from) * ((lone?.helpers.length ?? 0) + 1), 0);
    const share = tree.runs.reduce(
      (sum, run) => sum + (run.lane === 0 && this.counts[run.sequence].length > 0 ? 0 : this.lengthOf(run)),
      0,
    );
    let here = 0;
    try {
      const head = new HeadStage(core, memory, plan, normal.sequences, tree, rows, most);
      const counts = await runPrefixTree(
        core,
        plan,
        normal.sequences,
        tree,
        {
          rows: callRows,
          signal: request.signal,
          onRows: (count) => {
            here += count;
            request.onProgress?.(Math.floor(this.done + (share * here) / (total + 1)), this.positions);
          },
        },
        async (call) => {
          const looked = call.refs.some((ref) => ref.wanted && rows.of(ref.node, ref.position) >= 0);
          // Without rows to keep, keys and values are all that is wanted, unless an edit further on has to be counted.
          const all = looked || (counted && call.graph !== null);
          const until = all ? untilNorm(core.spec) : untilKeys(core.spec);
          const { list, logits, activations } = await core.prepare(call.rows, { taps: call.graph, logits: all && head.early, until });
          core.recorder.submit([...list, ...(await core.recorder.compile(head.keep(call, logits ?? activations.x)))]);
        },
      );
      this.computed += total;
      const consumers = this.logitConsumers(tree, rows);
      const results = await head.run(rows.batches(batchRows), {
        top: normal.top,
        wantsLogits: consumers && ((row) => consumers.has(row)),
        onLogits: (row, logits) => consumers?.get(row)?.forEach(([s, position]) => this.logits[s]?.set(logits, position * core.spec.vocab)),
        signal: request.signal,
      });
      this.collect(tree, rows, counts, results);
      this.done += share;
      request.onProgress?.(this.done, this.positions);
    } finally {
      memory.freeAll();
      core.recorder.forget();
    }
  }

  private lengthOf({ sequence }: PrefixRun): number {
    return this.normal.sequences[sequence].ids.length;
  }

  /** By row, where its logits go: sequence and position; null where none are wanted. */
  private logitConsumers(tree: PrefixTree, rows: ScoredRows): Map<number, [number, number][]> | null {
    if (!this.normal.logits) return null;
    const consumers = new Map<number, [number, number][]>();
    const lane = Math.min(1, this.normal.lanes.length - 1);
    for (const run of tree.runs) {
      if (run.lane !== lane) continue;
      rows.visit(run, 0, run.end, (row, position) => {
        const list = consumers.get(row) ?? [];
        consumers.set(row, list);
        list.push([run.sequence, position]);
      });
    }
    return consumers;
  }

  /** Hands every run what came of its rows. */
  private collect(tree: PrefixTree, rows: ScoredRows, counts: Uint32Array[] | null, results: HeadResults): void {
    const { sequences, from, looked, kl } = this.normal;
    for (const run of tree.runs) {
      const { sequence: s, lane } = run;
      const { ids } = sequences[s];
      const logprobs = this.logprobs[s][lane];
      rows.visit(run, from[s] - 1, ids.length - 1, (row, position) => {
        const at = position + 1 - from[s];
        logprobs[at] = results.logprobs[row][rows.targets[row].indexOf(ids[position + 1])];
        if (kl && lane > 0) this.kl[s][lane][at] = results.kl[row];
      });
      if (this.top.length > 0 && lane <= 1) {
        rows.visit(run, looked[s].first, looked[s].end, (row, position) => (this.top[s][lane][position] = results.top[row]));
      }
      const edits = this.selected.of(s, lane);
      for (const node of pathOf(tree, run)) {
        counts?.[node].forEach((count, edit) => (edits[edit] += seenByRunning(this.plan.edits[edit]) ? count : 0));
        results.counts?.[node].forEach((count, edit) => (edits[edit] += this.gatedLogits.some(({ index }) => index === edit) ? count : 0));
      }
      this.counts[s][lane] = edits;
    }
  }

  scores(): Scores {
    const { normal, plan } = this;
    const { sequences, lanes, from, top } = normal;
    const totals = lanes.map((_, lane) => {
      const sum = new Float64Array(plan.edits.length);
      for (const counts of this.counts) counts[lane].forEach((count, edit) => (sum[edit] += count));
      return sum;
    });
    return {
      sequences: sequences.map((_, s): SequenceScore => {
        const { edits } = countsById(plan, this.counts[s]);
        const edited = lanes.slice(1).map((_lane, i): LaneScore => ({
          logprobs: this.logprobs[s][i + 1],
          kl: normal.kl ? this.kl[s][i + 1] : null,
          edits: edits[i + 1],
        }));
        const first = edited.at(0);
        return {
          from: from[s],
          logprobs: this.logprobs[s][0],
          lanes: edited,
          edited: first?.logprobs ?? null,
          kl: first?.kl ?? null,
          top: top > 0 ? { unedited: this.top[s][0], edited: first ? this.top[s][1] : null } : null,
          logits: this.logits[s],
          edits: first?.edits ?? edits[0],
        };
      }),
      unmatched: countsById(plan, totals).unmatched,
      work: { positions: this.positions, computed: this.computed },
    };
  }
}
