import { TillerError } from '../../errors/error.ts';
import type { Plan } from '../../graph/plan.ts';
import type { LaneScore, ScoreRequest, Scores, TopToken } from '../engine.ts';

import { normalizeScore, planFor, type NormalScore } from '../request.ts';
import type { Core } from './core.ts';
import type { GraphRun } from './graph-run.ts';
import { Memory } from './memory.ts';
import { Readback } from './readback.ts';
import { klDispatch, logprobDispatch, MAX_TOP, NO_TOKEN, rowParams, topkDispatch } from './sampler.ts';
import { paddedWidths } from './scratch.ts';
import { runSequences } from './sequences.ts';

/** Most bytes of logits that one call keeps on the device. */
const LOGIT_BYTES = 64 * 1048576;

/** Log-probabilities of given sequences, unedited and edited, reduced on the device. See Engine.score. */
export async function score(core: Core, request: ScoreRequest): Promise<Scores> {
  const normal = normalizeScore(request, core.info, MAX_TOP);
  const { sequences, from } = normal;
  const plan = planFor(normal.graph, core.info, core.info.vocab, normal.lanes);
  if (request.signal?.aborted) throw new TillerError('request/aborted');
  const lanes = normal.lanes.length === 1 ? [0] : normal.lanes.slice(1).map((_, i) => i + 1);
  const parts: LanePart[] = [];
  for (const lane of lanes) parts.push(await scoreLane(core, request, normal, plan, lane));
  const positions = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
  return {
    sequences: sequences.map(({ ids }, index) => {
      const edited = normal.graph
        ? parts.map(({ results, edits }): LaneScore => {
            const { logprobs, kl } = results[index];
            return {
              logprobs: (logprobs.at(1) ?? logprobs[0]).slice(from[index] - 1),
              kl: normal.kl ? kl.slice(from[index] - 1) : null,
              edits: edits[index],
            };
          })
        : [];
      const first = parts[0].results[index];
      const tops = (lane: number): TopToken[][] =>
        ids.map((_, t) => (t < normal.looked[index].first ? [] : (first.top.at(lane) ?? first.top[0])[t]));
      return {
        from: from[index],
        logprobs: first.logprobs[0].slice(from[index] - 1),
        lanes: edited,
        edited: edited.at(0)?.logprobs ?? null,
        kl: edited.at(0)?.kl ?? null,
        top: normal.top > 0 ? { unedited: tops(0), edited: normal.graph ? tops(1) : null } : null,
        logits: first.logits,
        edits: parts[0].edits[index],
      };
    }),
    unmatched: parts[0].unmatched.filter((id) => parts.every((part) => part.unmatched.includes(id))),
    work: { positions: positions * normal.lanes.length, computed: positions * normal.lanes.length },
  };
}

interface LanePart {
  readonly results: readonly {
    readonly logprobs: Float32Array[];
    readonly kl: Float32Array;
    readonly top: TopToken[][][];
    readonly logits: Float32Array | null;
  }[];
  readonly edits: readonly Readonly<Record<string, number>>[];
  readonly unmatched: readonly string[];
}

/** All sequences, unedited and in one lane. */
async function scoreLane(core: Core, request: ScoreRequest, normal: NormalScore, plan: Plan, lane: number): Promise<LanePart> {
  const { sequences, top } = normal;
  const acts = plan.edits.some((edit) => plan.strengthOf(lane, edit.index) !== null);
  // A graph that edits nothing is the unedited model: computed once, so that it is equal bit for bit.
  const lanes = acts ? [0, lane] : [0];
  const release = await core.acquire();
  const memory = new Memory(core.device);
  try {
    const width = paddedWidths(core.spec).vocab;
    const { vocab } = core.spec;
    const maxRows = Math.max(
      lanes.length,
      Math.min(core.chunkRows, Math.floor(Math.min(LOGIT_BYTES, core.memory.bindingLimit) / (width * 4))),
    );
    const room = Math.max(maxRows, ...sequences.map((sequence) => sequence.ids.length * lanes.length));
    const buffers = {
      targets: memory.storage('targets', room * 4),
      scores: memory.storage('scores', room * 8),
      pairs: memory.storage('pairs', room * 8),
      kl: memory.storage('kl', room * 4),
      top: memory.storage('top tokens', Math.max(1, room * top) * 8),
    };
    const uniform = (label: string): GPUBuffer => memory.make(label, 16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    const params = { logprob: uniform('logprob'), kl: uniform('kl'), topk: uniform('topk') };

    const results = sequences.map(({ ids }) => ({
      logprobs: lanes.map(() => new Float32Array(ids.length - 1)),
      kl: new Float32Array(ids.length - 1),
      top: lanes.map(() => [] as TopToken[][]),
      logits: request.logits ? new Float32Array(ids.length * vocab) : null,
    }));

    const counted = await runSequences(
      core,
      plan,
      lanes,
      sequences,
      maxRows,
      request.signal,
      async ({ rows, refs, graph: run }) => {
        const { list, logits } = await core.prepare(rows, { taps: run, logits: true, complete: true });
        if (!logits) throw new TillerError('internal', { problem: 'no logits' });
        const view = { binding: { buffer: logits }, vocab, stride: width, rows: rows.length };
        const { queue } = core.device;
        queue.writeBuffer(buffers.targets, 0, new Uint32Array(refs.map((ref) => ref.sequence.ids[ref.position + 1] ?? NO_TOKEN)));
        queue.writeBuffer(params.logprob, 0, rowParams(view, rows.length));
        const binding = (buffer: GPUBuffer): GPUBufferBinding => ({ buffer });
        const after = [
          logprobDispatch(view, { params: binding(params.logprob), targets: binding(buffers.targets), output: binding(buffers.scores) }),
        ];
        const pairs: number[] = [];
        if (lanes.length === 2) {
          const rowOf = new Map(refs.map((ref, row) => [`${ref.member.sequence} ${ref.lane} ${ref.position}`, row]));
          refs.forEach((ref, row) => {
            if (ref.lane === lane) pairs.push(rowOf.get(`${ref.member.sequence} 0 ${ref.position}`) ?? row, row);
          });
          queue.writeBuffer(buffers.pairs, 0, new Uint32Array(pairs));
          queue.writeBuffer(params.kl, 0, rowParams(view, pairs.length / 2));
          after.push(
            klDispatch(view, pairs.length / 2, {
              params: binding(params.kl),
              scores: binding(buffers.scores),
              pairs: binding(buffers.pairs),
              output: binding(buffers.kl),
            }),
          );
        }
        if (top > 0) {
          queue.writeBuffer(params.topk, 0, rowParams(view, rows.length, top));
          after.push(topkDispatch(view, { params: binding(params.topk), output: binding(buffers.top) }));
        }
        const readback = Readback.prepare(core.device, core.health, [
          { buffer: buffers.scores, offset: 0, size: rows.length * 8 },
          { buffer: buffers.kl, offset: 0, size: pairs.length * 2 },
          { buffer: buffers.top, offset: 0, size: rows.length * top * 8 },
          { buffer: logits, offset: 0, size: request.logits ? rows.length * width * 4 : 0 },
        ]);
        core.recorder.submit([...list, ...(await core.recorder.compile(after))], (encoder) => readback.encode(encoder));
        const [scoreBytes, klBytes, topBytes, logitBytes] = await readback.take();
        const scores = new Float32Array(scoreBytes);
        const kl = new Float32Array(klBytes);
        const topIds = new Uint32Array(topBytes);
        const topLogprobs = new Float32Array(topBytes);
        const allLogits = new Float32Array(logitBytes);
        refs.forEach((ref, row) => {
          const result = results[ref.member.sequence];
          const at = lanes.indexOf(ref.lane);
          const { position } = ref;
          if (position < result.logprobs[at].length) result.logprobs[at][position] = scores[row * 2];
          if (top > 0) {
            result.top[at][position] = Array.from({ length: Math.min(top, vocab) }, (_, i) => ({
              id: topIds[(row * top + i) * 2],
              logprob: topLogprobs[(row * top + i) * 2 + 1],
            }));
          }
          if (result.logits && ref.lane === lanes.at(-1)) {
            result.logits.set(allLogits.subarray(row * width, row * width + vocab), position * vocab);
          }
        });
        for (let pair = 0; pair < pairs.length / 2; pair += 1) {
          const ref = refs[pairs[pair * 2 + 1]];
          const result = results[ref.member.sequence];
          if (ref.position < result.kl.length) result.kl[ref.position] = kl[pair];
        }
      },
      async (run) => readCounts(core, run),
      request.onProgress,
    );

    return { results, ...counted };
  } finally {
    memory.freeAll();
    release();
  }
}

/** Edits applied so far, by row of the strength table. */
export async function readCounts(core: Core, run: GraphRun): Promise<Uint32Array[]> {
  const readback = Readback.prepare(core.device, core.health, [run.counts]);
  core.recorder.submit([], (encoder) => readback.encode(encoder));
  const [bytes] = await readback.take();
  return run.countsOf(bytes);
}
