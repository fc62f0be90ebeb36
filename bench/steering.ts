import type { ModelInfo } from '../src/engine/engine.ts';
import { noise } from '../src/engine/random.ts';
import { planFor } from '../src/engine/request.ts';
import type { Core } from '../src/engine/webgpu/core.ts';
import { untilNorm } from '../src/engine/webgpu/forward.ts';
import { EditBuffers, GraphRun } from '../src/engine/webgpu/graph-run.ts';
import { loadCore } from '../src/engine/webgpu/load.ts';
import type { BoundGraph, EditNode, Lane } from '../src/graph/document.ts';
import { buildGraph } from '../src/graph/vectors.ts';
import { number, show, type Measurement } from './measurement.ts';
import { interleave, ratios, spread, timed, type Spread, type Timing } from './spread.ts';

export interface SteeringArm {
  readonly name: string;
  readonly heads: number;
  /** Time of a step on the clock against no graph, round by round. */
  readonly overhead: Spread;
  /** The same by processor time of the process: on a software adapter, less disturbed by what else runs. */
  readonly processor: Spread;
  readonly dispatches: number;
  /** Milliseconds of the graph's own dispatches, run by themselves; null where it has none. */
  readonly alone: Spread | null;
}

export interface SteeringResult {
  /** Position of the token that is computed: so many keys and values are read. */
  readonly position: number;
  /** Milliseconds of a step without a graph. */
  readonly step: Spread;
  readonly arms: readonly SteeringArm[];
}

/** Times that a graph's own dispatches are repeated in one submit, so that the submit itself does not count. */
const ALONE = 50;

/** A vector added to `count` heads, spread evenly over all of them. Small, so that the text stays a text. */
export function headGraph(model: ModelInfo, count: number): BoundGraph {
  const total = model.layers * model.heads;
  const picked = Array.from({ length: count }, (_, i) => Math.floor((i * total) / count));
  const nodes = picked.map((index): EditNode => {
    const layer = Math.floor(index / model.heads);
    const head = index % model.heads;
    return { id: `h${layer}.${head}`, edit: 'add', at: { point: 'z', layer, head }, vector: ['v', 0], strength: 0.01, tokens: 'all' };
  });
  const data = Float32Array.from({ length: model.headDim }, (_, i) => noise(1, 0, i) - 0.58);
  return buildGraph({ model, nodes, vectors: count > 0 ? { v: { shape: [1, model.headDim], data } } : {} });
}

/**
 * Steps of decoding with and without a graph, in turn: one row at one position, all layers and the logits. Steps are the finest grain
 * that can be taken in turn, and a machine shared with others needs that. What a request does besides (sampling, read-back) is the same
 * with a graph and left out.
 * @param together steps of one sample
 * @param seconds how long to go on
 * @param counts heads to steer; the largest number also with strength 0
 */
export async function compareSteering(core: Core, together: number, seconds: number, counts = [0, 8, 48]): Promise<SteeringResult> {
  const { info, model, recorder, memory, health, device } = core;
  const position = Math.min(128, info.limits.maxContext - 1);
  model.cache.ensure(2, position + 1);
  const all = info.layers * info.heads;
  const most = Math.min(Math.max(...counts), all);
  const title = (heads: number): string => (heads === all ? `${heads} heads (all there are)` : `${heads} heads`);
  const arms: readonly { name: string; heads: number; factor: number }[] = [
    { name: 'no graph', heads: 0, factor: 0 },
    ...counts.map((count) => Math.min(count, all)).map((heads) => ({ name: title(heads), heads, factor: 1 })),
    { name: `${most} heads, strength 0`, heads: most, factor: 0 },
  ];
  const row = { token: 5, slot: 0, position, flags: 0 };
  const sequence = { ids: Array.from({ length: position + 1 }, () => 5), promptLength: position, roles: [] };
  const { table } = core.scratch.ensure(1);
  const runs: Record<string, (round: number) => Promise<Timing>> = {};
  const dispatches = new Map<string, number>();
  const alone = new Map<string, () => Promise<number>>();
  for (const { name, heads, factor } of arms) {
    const lanes: Lane[] = [heads > 0 ? { strengths: { '*': factor } } : {}];
    const plan = planFor(headGraph(info, heads), info, info.vocab, lanes);
    const sizes = { lanes: [0], slots: model.cache.slots, maxRows: 8, ringRows: 1, maxPositions: 1 };
    // Buffers of its own, so that all arms are ready at once.
    const buffers = new EditBuffers(memory, () => undefined);
    const graph = heads > 0 ? new GraphRun({ device, call: model.call, table, buffers, plan, ...sizes }) : null;
    const { list } = await core.prepare([row], { taps: graph, logits: true, until: untilNorm(core.spec) });
    dispatches.set(name, list.length);
    const edits = list.filter(({ pipeline }) => pipeline.label.startsWith('edit'));
    if (edits.length > 0) {
      const repeated = Array.from({ length: ALONE }, () => edits).flat();
      alone.set(name, async () => {
        const start = performance.now();
        recorder.submit(repeated);
        await health.wait(device.queue.onSubmittedWorkDone());
        return (performance.now() - start) / ALONE;
      });
    }
    runs[name] = () =>
      timed(async () => {
        for (let i = 0; i < together; i += 1) {
          graph?.select([{ sequence, position, lane: 0 }], 0);
          recorder.submit(list);
        }
        await health.wait(device.queue.onSubmittedWorkDone());
      });
  }
  const first = (await interleave(runs, 1))['no graph'][0].wall;
  const rounds = Math.max(5, Math.min(400, Math.round((1000 * seconds) / (arms.length * first))));
  const samples = await interleave(runs, rounds);
  const of = (key: keyof Timing, name: string): number[] => samples[name].map((sample) => sample[key] / together);
  const own = await interleave(Object.fromEntries(alone), 9);
  return {
    position,
    step: spread(of('wall', 'no graph')),
    arms: arms.slice(1).map(({ name, heads }) => ({
      name,
      heads,
      overhead: ratios(of('wall', name), of('wall', 'no graph')),
      processor: ratios(of('cpu', name), of('cpu', 'no graph')),
      dispatches: dispatches.get(name) ?? 0,
      alone: name in own ? spread(own[name]) : null,
    })),
  };
}

/** A ratio with its standard error: that of a median, from the quartiles of a bell curve. */
export function showRatio(ratio: Spread): string {
  const error = (1.2533 * (ratio.high - ratio.low)) / 1.349 / Math.sqrt(ratio.count);
  return `${ratio.median.toFixed(3)} ± ${error.toFixed(3)}`;
}

export const steering: Measurement<SteeringResult> = {
  name: 'steering',
  title: 'What steering costs',
  of: 'model',
  columns: [
    'graph',
    'time of a step against no graph',
    'the same in processor time',
    'pairs',
    'dispatches a step',
    'ms a step without a graph',
  ],

  async run(bench) {
    const { files, load, host } = bench;
    const core = await loadCore(files.spec, files.source, host, load);
    try {
      return await compareSteering(core, 2, bench.quick ? 4 : 60);
    } finally {
      core.health.close();
      core.device.destroy();
    }
  },

  rows: ({ arms, step }) =>
    arms.map((arm) => [
      arm.name,
      showRatio(arm.overhead),
      showRatio(arm.processor),
      String(arm.overhead.count),
      number(arm.dispatches),
      arm.alone ? show(arm.alone) : '',
      show(step),
    ]),
};
