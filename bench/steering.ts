import type { GenerateRequest, ModelInfo } from '../src/engine/engine.ts';
import { noise } from '../src/engine/random.ts';
import type { BoundGraph, EditNode } from '../src/graph/document.ts';
import { buildGraph } from '../src/graph/vectors.ts';
import { finish, lengths } from './decode.ts';
import { number, promptIds, show, type Measurement } from './measurement.ts';
import { interleave, ratios, type Spread } from './spread.ts';

export interface SteeringResult {
  readonly tokens: number;
  readonly arms: readonly {
    readonly name: string;
    readonly heads: number;
    /** Milliseconds a token, against the run without a graph in the same round. */
    readonly overhead: Spread;
    /** The same by processor time of the process: on a software adapter, less disturbed by what else runs. */
    readonly processor: Spread;
    readonly dispatches: number;
  }[];
}

/** A vector added to `count` heads, spread evenly over all of them. Small, so that the text stays a text. */
export function headGraph(model: ModelInfo, count: number): BoundGraph {
  const total = model.layers * model.heads;
  const picked = Array.from({ length: count }, (_, i) => Math.floor((i * total) / count));
  const nodes = picked.map((index): EditNode => {
    const layer = Math.floor(index / model.heads);
    const head = index % model.heads;
    return { id: `h${layer}.${head}`, edit: 'add', at: { point: 'z', layer, head }, vector: ['v', 0], strength: 0.01, tokens: 'generated' };
  });
  const data = Float32Array.from({ length: model.headDim }, (_, i) => noise(1, 0, i) - 0.58);
  return buildGraph({ model, nodes, vectors: count > 0 ? { v: { shape: [1, model.headDim], data } } : {} });
}

export const steering: Measurement<SteeringResult> = {
  name: 'steering',
  title: 'What steering costs',
  of: 'model',
  columns: ['graph', 'time of a token against no graph', 'the same in processor time', 'dispatches a token'],

  async run(bench) {
    const engine = await bench.engine();
    const { model } = engine;
    const { prompt, tokens } = await lengths(bench, engine);
    const ids = promptIds(model.vocab, prompt, 0, bench.files.spec.bosId);
    const all = model.layers * model.heads;
    const some = Math.min(48, all);
    const graphs: Readonly<Record<string, { heads: number; graph: BoundGraph | null; factor: number }>> = {
      none: { heads: 0, graph: null, factor: 0 },
      empty: { heads: 0, graph: headGraph(model, 0), factor: 0 },
      few: { heads: Math.min(8, all), graph: headGraph(model, Math.min(8, all)), factor: 1 },
      many: { heads: some, graph: headGraph(model, some), factor: 1 },
      off: { heads: some, graph: headGraph(model, some), factor: 0 },
    };
    const names: Readonly<Record<string, string>> = {
      empty: '0 heads',
      few: `${graphs.few.heads} heads`,
      many: some === all ? `${some} heads (all there are)` : `${some} heads`,
      off: `${some} heads, strength 0`,
    };
    const request = (arm: string, maxTokens: number): GenerateRequest => {
      const { graph, factor } = graphs[arm];
      return {
        prompt: ids,
        graph,
        lanes: [graph && graph.document.nodes.length > 0 ? { strengths: { '*': factor } } : {}],
        maxTokens,
        stop: [],
      };
    };
    const arms = Object.fromEntries(
      Object.keys(graphs).map((arm) => [
        arm,
        async () => {
          // Processor time of decoding alone: from the first token to the end.
          const run = engine.generate(request(arm, tokens));
          await run.next();
          const cpu = process.cpuUsage();
          for (;;) {
            const next = await run.next();
            if (!next.done) continue;
            const used = process.cpuUsage(cpu);
            const { decodeMs, decodedTokens } = next.value.timing;
            return { wall: decodeMs / decodedTokens, cpu: (used.user + used.system) / 1000 / decodedTokens };
          }
        },
      ]),
    );
    const samples = await interleave(arms, 2 * bench.rounds);
    const result: SteeringResult['arms'][number][] = [];
    for (const arm of Object.keys(names)) {
      // Once more first, so that both find the prompt in the cache.
      await finish(engine, request(arm, 2));
      const short = (await finish(engine, request(arm, 2))).timing;
      const long = (await finish(engine, request(arm, 4))).timing;
      const of = (key: 'wall' | 'cpu', name: string): number[] => samples[name].map((sample) => sample[key]);
      result.push({
        name: names[arm],
        heads: graphs[arm].heads,
        overhead: ratios(of('wall', arm), of('wall', 'none')),
        processor: ratios(of('cpu', arm), of('cpu', 'none')),
        dispatches: (long.dispatches - short.dispatches) / 2,
      });
    }
    return { tokens, arms: result };
  },

  rows: ({ arms }) => arms.map((arm) => [arm.name, show(arm.overhead, 3), show(arm.processor, 3), number(arm.dispatches)]),
};
