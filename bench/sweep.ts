import type { Engine, GenerateRequest, SequenceInput } from '../src/engine/engine.ts';
import { noise } from '../src/engine/random.ts';
import type { BoundGraph, Lane, Selector } from '../src/graph/document.ts';
import { buildGraph } from '../src/graph/vectors.ts';
import { promptIds, type Measurement } from './measurement.ts';
import { compare, comparisonRows, largestDifference, type Arm, type Comparison } from './peers/comparison.ts';
import { openContestants } from './peers/engines.ts';
import { timed } from './spread.ts';

export interface SweepBench {
  readonly strengths: number;
  readonly kinds: readonly {
    readonly name: string;
    readonly comparison: Comparison;
    /** Largest difference of a log-probability between any two ways, nats; null where tokens are compared. */
    readonly difference: number | null;
    /** Share of generated tokens that all ways agree on; null where nothing is generated. */
    readonly agreement: number | null;
  }[];
  readonly missing: readonly string[];
}

const strengths = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2] as const;

/** A vector added to all heads of a middle layer. */
function pushGraph(engine: Engine, tokens: Selector): { graph: BoundGraph; layer: number; vector: Float32Array } {
  const { model } = engine;
  const layer = Math.floor(model.layers / 2);
  const vector = Float32Array.from({ length: model.heads * model.headDim }, (_, i) => 0.1 * (noise(1, 0, i) - 0.58));
  const graph = buildGraph({
    model,
    nodes: [{ id: 'push', edit: 'add', at: { point: 'z', layer }, tokens, vector: 'v' }],
    vectors: { v: { shape: [vector.length], data: vector } },
  });
  return { graph, layer, vector };
}

const lane = (strength: number): Lane => ({ strengths: { push: strength } });

async function generated(engine: Engine, request: GenerateRequest): Promise<number[][]> {
  const run = engine.generate(request);
  const tokens = (request.lanes ?? []).map((): number[] => []);
  for (;;) {
    const next = await run.next();
    if (next.done) return tokens;
    next.value.lanes.forEach((step, i) => {
      if (step) tokens[i].push(step.token);
    });
  }
}

const sum = (values: Float32Array): number => values.reduce((a, b) => a + b, 0);

/** Sums of all texts under all strengths, in one run or in one for each strength. */
async function scored(engine: Engine, texts: readonly SequenceInput[], graph: BoundGraph, positions: 'all' | 'answer', together: boolean) {
  const groups = together ? [[...strengths]] : strengths.map((strength) => [strength]);
  const sums: number[] = [];
  for (const group of groups) {
    const { sequences } = await engine.score({ sequences: texts, graph, lanes: group.map(lane), positions, kl: positions === 'all' });
    group.forEach((_, i) => sums.push(...sequences.map(({ lanes }) => sum(lanes[i].logprobs))));
  }
  return sums;
}

export const sweep: Measurement<SweepBench> = {
  name: 'sweep',
  title: 'Eight strengths in one run',
  of: 'model',
  columns: ['work', 'way: ms a strength', 'against: ms a strength', 'times as fast', 'the same in processor time', 'agreement', 'absent'],

  async run(bench) {
    const { vocab, bosId } = bench.files.spec;
    const contestants = await openContestants(bench, 256);
    const { engines, torch, missing } = contestants;
    const kinds: SweepBench['kinds'][number][] = [];
    const tokens = bench.quick ? 12 : 64;
    const prompt = promptIds(vocab, 16, 0, bosId);
    try {
      kinds.push(await generation());
      const questions = Array.from({ length: bench.quick ? 4 : 12 }, (_, q) => {
        const asked = [...promptIds(vocab, 120, 0, bosId), ...promptIds(vocab, 12, q + 1, null)];
        return Array.from({ length: 5 }, (__, a) => ({
          ids: [...asked, ...promptIds(vocab, 8, 100 + 5 * q + a, null)],
          promptLength: asked.length,
        }));
      }).flat();
      kinds.push(await likelihood('answers after a primer', questions, 'generated', 'answer'));
      const documents = Array.from({ length: bench.quick ? 2 : 6 }, (_, i) => ({
        ids: promptIds(vocab, 96, 50 + i, bosId),
        promptLength: 1,
      }));
      kinds.push(await likelihood('neutral documents with KL', documents, 'all', 'all'));
    } finally {
      await contestants.close();
    }
    return { strengths: strengths.length, kinds, missing };

    async function generation(): Promise<SweepBench['kinds'][number]> {
      const found = new Map<string, number[][]>();
      const arms: Arm[] = [];
      const pairs: [string, string][] = [];
      for (const { name, engine } of engines) {
        const { graph } = pushGraph(engine, 'generated');
        const common = { prompt, graph, maxTokens: tokens, stop: [] };
        const ways = {
          'one run': async () => generated(engine, { ...common, lanes: strengths.map(lane) }),
          'eight runs': async () => {
            const rows: number[][] = [];
            for (const strength of strengths) rows.push(...(await generated(engine, { ...common, lanes: [lane(strength)] })));
            return rows;
          },
        };
        for (const [way, run] of Object.entries(ways)) {
          arms.push({
            name: `${name}, ${way}`,
            units: strengths.length,
            run: () => timed(async () => void found.set(`${name}, ${way}`, await run())),
          });
        }
        pairs.push(
          [`${name}, one run`, `${name}, eight runs`],
          [`${name}, one run`, 'PyTorch, eight runs'],
          [`${name}, one run`, 'PyTorch, one batch'],
        );
      }
      if (torch) {
        const { layer, vector } = pushGraph(engines[0].engine, 'generated');
        for (const [way, together] of [
          ['one batch', true],
          ['eight runs', false],
        ] as const) {
          arms.push({
            name: `PyTorch, ${way}`,
            units: strengths.length,
            run: async () => {
              const details = { prompt, tokens, layer, vector: [...vector], strengths, together };
              const answer = await torch.run<{ tokens: number[][] }>('generate', details);
              found.set(`PyTorch, ${way}`, answer.tokens);
              return { wall: answer.wall, cpu: answer.cpu };
            },
          });
        }
        pairs.push(['PyTorch, one batch', 'PyTorch, eight runs']);
      }
      const comparison = await compare(arms, pairs, bench.rounds);
      const rows = [...found.values()].map((lists) => lists.flat());
      const agreed = rows[0].filter((token, i) => rows.every((row) => row[i] === token)).length;
      return { name: `${tokens} tokens generated`, comparison, difference: null, agreement: agreed / rows[0].length };
    }

    async function likelihood(
      name: string,
      texts: readonly SequenceInput[],
      selector: Selector,
      positions: 'all' | 'answer',
    ): Promise<SweepBench['kinds'][number]> {
      const found: number[][] = [];
      const arms: Arm[] = [];
      const pairs: [string, string][] = [];
      for (const { name: who, engine } of engines) {
        const { graph } = pushGraph(engine, selector);
        for (const [way, together] of [
          ['one run', true],
          ['eight runs', false],
        ] as const) {
          const run = () => timed(async () => void found.push(await scored(engine, texts, graph, positions, together)));
          arms.push({ name: `${who}, ${way}`, units: strengths.length, run });
        }
        pairs.push([`${who}, one run`, `${who}, eight runs`]);
      }
      const comparison = await compare(arms, pairs, bench.rounds);
      return { name, comparison, difference: Math.max(...found.map((sums) => largestDifference(sums, found[0]))), agreement: null };
    }
  },

  rows: ({ kinds, missing }) =>
    kinds.flatMap(({ name, comparison, difference, agreement }) => {
      const said = difference === null ? `${(100 * (agreement ?? 0)).toFixed(1)} % of tokens` : `${difference.toExponential(1)} nats`;
      return comparisonRows(comparison).map((row) => [name, ...row, said, missing.join('; ')]);
    }),
};
