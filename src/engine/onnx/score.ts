import { countsById } from '../../graph/counts.ts';
import type { LaneScore, ScoreRequest, Scores, SequenceScore, TopToken } from '../engine.ts';
import type { PrefixTree } from '../prefix-tree.ts';
import { topTokens } from '../reference/ops/distribution.ts';
import { normalizeScore, planFor, throwIfAborted, type NormalScore } from '../request.ts';
import { scoreBlocks } from '../score-blocks.ts';
import type { Core } from './core.ts';
import type { Distribution, Distributions } from './distribution.ts';
import { passing, positionsOf, walkTree, type TreeRow } from './tree-walk.ts';

/** Bytes of logits that may wait for the other half of a KL. */
const WAITING_BYTES = 384 * 2 ** 20;
/** Positions computed before results are put away and the next sequences are taken. */
const GROUP_POSITIONS = 2 ** 17;

interface LaneRows {
  readonly logprobs: Float32Array;
  readonly kl: Float32Array | null;
  readonly top: TopToken[][];
  counts: Float64Array;
}

/** Log-probabilities of given sequences, unedited and under every condition; what they have in common is computed once. See Engine.score. */
export async function score(core: Core, request: ScoreRequest): Promise<Scores> {
  const { info } = core;
  const normal = normalizeScore(request, info, info.vocab);
  const { sequences, lanes } = normal;
  const plan = planFor(normal.graph, info, info.vocab, lanes);
  throwIfAborted(request.signal);
  const release = await core.acquire();
  try {
    const results = sequences.map((_, index) => lanes.map((_lane, lane) => emptyRows(normal, index, lane, plan.edits.length)));
    const logits = sequences.map(({ ids }) => (normal.logits ? new Float32Array(ids.length * info.vocab) : null));
    // Conditions to score, for progress: a condition's unedited run is not one where there are others.
    const total = sequences.length * Math.max(1, lanes.length - 1);
    const conditions = (tree: PrefixTree): number => tree.runs.filter(({ lane }) => lane > 0 || lanes.length === 1).length;
    const rows = normal.kl ? Math.max(2, Math.floor(WAITING_BYTES / (info.vocab * 4))) : GROUP_POSITIONS;
    let computed = 0;
    let scored = 0;
    for (const tree of scoreBlocks(plan, normal, { rows, positions: GROUP_POSITIONS })) {
      const runsAt = passing(tree);
      const here = positionsOf(tree);
      const comparison = new Comparison(normal, tree, results, core.model.distributions);
      let done = 0;
      const before = scored;
      scored += conditions(tree);
      const counts = await walkTree(core, {
        plan,
        sequences,
        tree,
        signal: request.signal,
        looks: ({ node, position }) =>
          runsAt[node].some(({ sequence }) => position >= normal.looked[sequence].first && position < normal.looked[sequence].end),
        onLogits: take,
        onRows: (count) => {
          done += count;
          request.onProgress?.(before + Math.floor(((scored - before) * done) / here), total);
        },
      });
      tree.runs.forEach(({ sequence, lane }, index) => (results[sequence][lane].counts = counts[index]));
      computed += here;

      async function take(rows: readonly TreeRow[], block: Float32Array): Promise<void> {
        const totals = await core.model.distributions.totals(block);
        for (const [at, { node, position }] of rows.entries()) {
          const values = block.subarray(at * info.vocab, (at + 1) * info.vocab);
          takeRow(node, position, values, totals[at]);
          await comparison.take(position, runsAt[node], { logits: values, total: totals[at] });
        }
      }

      function takeRow(node: number, position: number, values: Float32Array, total: number): void {
        let best: TopToken[] | null = null;
        for (const { sequence, lane } of runsAt[node]) {
          const { ids } = sequences[sequence];
          const looked = normal.looked[sequence];
          if (position < looked.first || position >= looked.end) continue;
          const rows = results[sequence][lane];
          if (normal.top > 0 && lane <= 1) rows.top[position] = best ??= topTokens(values, normal.top);
          if (lane === Math.min(1, lanes.length - 1)) logits[sequence]?.set(values, position * info.vocab);
          const at = position + 1 - normal.from[sequence];
          if (at >= 0 && position + 1 < ids.length) rows.logprobs[at] = values[ids[position + 1]] - total;
        }
      }
    }
    request.onProgress?.(total, total);
    const all = lanes.map((_, lane) =>
      results.reduce((sum, rows) => sum.map((count, edit) => count + rows[lane].counts[edit]), new Float64Array(plan.edits.length)),
    );
    const positions = sequences.reduce((sum, { ids }) => sum + ids.length, 0) * lanes.length;
    return {
      sequences: results.map((rows, index) => scoreOf(normal, plan, rows, normal.from[index], logits[index])),
      unmatched: countsById(plan, all).unmatched,
      work: { positions, computed },
    };
  } finally {
    release();
  }
}

function emptyRows({ sequences, from, kl: wanted }: NormalScore, index: number, lane: number, edits: number): LaneRows {
  const { ids } = sequences[index];
  const length = ids.length - from[index];
  return {
    logprobs: new Float32Array(length),
    kl: wanted && lane > 0 ? new Float32Array(length) : null,
    top: ids.map(() => []),
    counts: new Float64Array(edits),
  };
}

function scoreOf(
  { top }: NormalScore,
  plan: Parameters<typeof countsById>[0],
  rows: readonly LaneRows[],
  from: number,
  logits: Float32Array | null,
): SequenceScore {
  const { edits } = countsById(
    plan,
    rows.map(({ counts }) => counts),
  );
  const edited = rows.slice(1).map((row, at): LaneScore => ({ logprobs: row.logprobs, kl: row.kl, edits: edits[at + 1] }));
  const first = edited.at(0);
  return {
    from,
    logprobs: rows[0].logprobs,
    lanes: edited,
    edited: first?.logprobs ?? null,
    kl: first?.kl ?? null,
    top: top > 0 ? { unedited: rows[0].top, edited: first ? rows[1].top : null } : null,
    logits,
    edits: first?.edits ?? edits[0],
  };
}

/** One position of one sequence: logits that wait until those of the unedited run and of the others have met. */
interface Meeting {
  unedited: Distribution | null;
  readonly waiting: { readonly lane: number; readonly edited: Distribution }[];
  /** Edited lanes that have not come. */
  missing: number;
}

/** KL(unedited || edited), in whatever order the two come. */
class Comparison {
  private readonly meetings = new Map<string, Meeting>();
  /** By sequence, its edited runs. */
  private readonly edited = new Map<number, number>();

  constructor(
    private readonly normal: NormalScore,
    tree: PrefixTree,
    private readonly results: readonly (readonly LaneRows[])[],
    private readonly distributions: Distributions,
  ) {
    for (const { sequence, lane } of tree.runs) if (lane > 0) this.edited.set(sequence, (this.edited.get(sequence) ?? 0) + 1);
  }

  /** @param runs runs whose logits at this position these are; a copy is kept while the other half is missing */
  async take(position: number, runs: readonly { readonly sequence: number; readonly lane: number }[], row: Distribution): Promise<void> {
    if (!this.normal.kl) return;
    let copy: Distribution | null = null;
    const kept = (): Distribution => (copy ??= { logits: row.logits.slice(), total: row.total });
    const unedited = new Set(runs.filter(({ lane }) => lane === 0).map(({ sequence }) => sequence));
    for (const { sequence, lane } of runs) {
      const at = position + 1 - this.normal.from[sequence];
      if (at < 0 || at >= this.results[sequence][0].logprobs.length) continue;
      // What is shared with the unedited run differs by nothing: its KL stays 0.
      if (lane > 0 && unedited.has(sequence)) continue;
      const key = `${sequence}/${position}`;
      let meeting = this.meetings.get(key);
      if (!meeting) this.meetings.set(key, (meeting = { unedited: null, waiting: [], missing: this.edited.get(sequence) ?? 0 }));
      if (lane === 0) {
        meeting.missing -= runs.filter((run) => run.sequence === sequence && run.lane > 0).length;
        meeting.unedited = meeting.missing > meeting.waiting.length ? kept() : row;
        for (const other of meeting.waiting.splice(0)) await this.put(sequence, other.lane, at, meeting, other.edited);
      } else if (meeting.unedited) await this.put(sequence, lane, at, meeting, row);
      else meeting.waiting.push({ lane, edited: kept() });
      if (meeting.unedited && meeting.missing === 0) this.meetings.delete(key);
    }
  }

  private async put(sequence: number, lane: number, at: number, meeting: Meeting, edited: Distribution): Promise<void> {
    const target = this.results[sequence][lane].kl;
    if (target && meeting.unedited) target[at] = await this.distributions.kl(meeting.unedited, edited);
    meeting.missing--;
  }
}
