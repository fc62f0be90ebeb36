import type { SequenceInput } from '../src/engine/engine.ts';
import { number, promptIds, type Bench, type Measurement } from './measurement.ts';
import { compare, comparisonRows, largestDifference, type Arm, type Comparison } from './peers/comparison.ts';
import { openContestants, type Contestants } from './peers/engines.ts';
import { timed } from './spread.ts';

interface Workload {
  readonly name: string;
  readonly texts: number;
  /** Tokens of a text in the mean. */
  readonly tokens: number;
  readonly comparison: Comparison;
  /** Largest difference of the sum of a text's activations, against its size. */
  readonly difference: number;
}

export interface CapturesBench {
  readonly workloads: readonly Workload[];
  readonly missing: readonly string[];
}

/** Texts of 20 to 42 tokens that have nothing in common. */
function separateTexts(vocab: number, bos: number | null, count: number): number[][] {
  return Array.from({ length: count }, (_, i) => promptIds(vocab, 20 + ((7 * i) % 23), i, bos));
}

/** What ITI reads: questions of 10 to 24 tokens, each in front of seven answers of 8 to 20; TruthfulQA has 7.2 answers a question. */
function questionTexts(vocab: number, bos: number | null, count: number): number[][] {
  return Array.from({ length: count }, (_, i) => {
    const question = Math.floor(i / 7);
    const answer = promptIds(vocab, 8 + ((5 * i) % 13), 1000 + i, null);
    return [...promptIds(vocab, 10 + ((3 * question) % 15), question, bos), ...answer];
  });
}

export const captures: Measurement<CapturesBench> = {
  name: 'captures',
  title: 'Activations of all heads at the last token',
  of: 'model',
  columns: [
    'texts',
    'how many, tokens of each',
    'way: ms a text',
    'against: ms a text',
    'times as fast',
    'the same in processor time',
    'largest relative difference',
    'absent',
  ],

  async run(bench) {
    const { vocab, bosId } = bench.files.spec;
    const count = bench.quick ? 42 : 203;
    const contestants = await openContestants(bench, 256);
    try {
      const workloads = [
        await measure('nothing in common', separateTexts(vocab, bosId, count), bench, contestants),
        await measure('questions, each with seven answers', questionTexts(vocab, bosId, count), bench, contestants),
      ];
      return { workloads, missing: contestants.missing };
    } finally {
      await contestants.close();
    }
  },

  rows: ({ workloads, missing }) =>
    workloads.flatMap(({ name, texts, tokens, comparison, difference }) =>
      comparisonRows(comparison).map((row) => [
        name,
        `${texts}, ${number(tokens, 0)}`,
        ...row,
        difference.toExponential(1),
        missing.join('; '),
      ]),
    ),
};

async function measure(workload: string, texts: readonly number[][], bench: Bench, { engines, torch }: Contestants): Promise<Workload> {
  const some = texts.slice(0, bench.quick ? 14 : 42);
  const found = new Map<string, number[]>();
  const arms: Arm[] = [];
  const pairs: [string, string][] = [];
  for (const { name, engine } of engines) {
    arms.push({
      name,
      units: texts.length,
      run: () =>
        timed(async () => {
          const sequences = texts.map((ids): SequenceInput => ({ ids, promptLength: ids.length }));
          const { arrays } = await engine.capture({ sequences, points: [{ point: 'z' }], at: 'last' });
          const sums = new Array<number>(texts.length).fill(0);
          for (const { sequence, data } of arrays) sums[sequence] += data.reduce((a, b) => a + b, 0);
          found.set(name, sums);
        }),
    });
    pairs.push([name, 'PyTorch, each'], [name, 'PyTorch, batches of like length']);
  }
  if (torch) {
    const peer = (name: string, task: string, of: readonly number[][], details: Record<string, unknown>): Arm => ({
      name,
      units: of.length,
      run: async () => {
        const { wall, cpu, sums } = await torch.run<{ sums: number[] }>(task, { texts: of, ...details });
        found.set(name, sums);
        return { wall, cpu };
      },
    });
    arms.push(peer('PyTorch, each', 'capture_single', some, {}));
    arms.push(peer('PyTorch, batches of like length', 'capture_batched', texts, { batch: 32 }));
    pairs.push(['PyTorch, batches of like length', 'PyTorch, each']);
  }
  const comparison = await compare(arms, pairs, bench.rounds);
  const lists = [...found.values()].map((sums) => sums.slice(0, some.length));
  const size = Math.max(...lists[0].map(Math.abs));
  const difference = Math.max(...lists.map((sums) => largestDifference(sums, lists[0]))) / size;
  const tokens = texts.reduce((total, ids) => total + ids.length, 0) / texts.length;
  return { name: workload, texts: texts.length, tokens, comparison, difference };
}
