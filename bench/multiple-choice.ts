import type { Engine, SequenceInput } from '../src/engine/engine.ts';
import { number, promptIds, type Measurement } from './measurement.ts';
import { compare, comparisonRows, largestDifference, type Arm, type Comparison } from './peers/comparison.ts';
import { openContestants, type Contestants } from './peers/engines.ts';
import { timed } from './spread.ts';

export interface MultipleChoiceBench {
  readonly questions: number;
  readonly answers: number;
  readonly sizes: readonly {
    /** Tokens of the shared primer, and of a whole text in the mean. */
    readonly primer: number;
    readonly tokens: number;
    readonly comparison: Comparison;
    /** Positions that all texts have, for each that was computed, by engine. */
    readonly shared: readonly { readonly name: string; readonly share: number }[];
    /** Largest difference of an answer's log-probability between any two ways, nats. */
    readonly difference: number;
  }[];
  readonly missing: readonly string[];
}

const primers = [165, 725] as const;
const question = 12;

interface Text extends SequenceInput {
  readonly ids: number[];
  readonly promptLength: number;
}

/** Questions with answers of 4 to 10 tokens after one primer. */
function choiceTexts(vocab: number, bos: number | null, primer: number, questions: number, answers: number): Text[] {
  const front = promptIds(vocab, primer, 0, bos);
  return Array.from({ length: questions }, (_, q) => {
    const asked = [...front, ...promptIds(vocab, question, 1 + q, null)];
    return Array.from({ length: answers }, (__, a): Text => {
      const ids = [...asked, ...promptIds(vocab, 4 + ((3 * a + q) % 7), 1000 + q * answers + a, null)];
      return { ids, promptLength: asked.length };
    });
  }).flat();
}

const sum = (values: Float32Array): number => values.reduce((a, b) => a + b, 0);

async function measureSize(
  { engines, torch }: Contestants,
  texts: readonly Text[],
  primer: readonly number[],
  few: number,
  rounds: number,
): Promise<{ comparison: Comparison; shared: { name: string; share: number }[]; difference: number }> {
  const some = texts.filter((_, i) => i % Math.ceil(texts.length / few) === 0);
  const lengths = (of: readonly Text[]): number[] => of.map(({ promptLength }) => promptLength);
  const found = new Map<string, number[]>();
  const sharing = new Map<string, number>();
  const arms: Arm[] = [];
  const pairs: [string, string][] = [];
  for (const { name, engine } of engines) {
    arms.push({
      name: `${name}, each`,
      units: some.length,
      run: () => timed(async () => void found.set(`${name}, each`, await fullPasses(engine, some))),
    });
    arms.push({
      name: `${name}, shared`,
      units: texts.length,
      run: () =>
        timed(async () => {
          const { sequences, work } = await engine.score({ sequences: texts, positions: 'answer', kl: false });
          found.set(`${name}, shared`, sequences.map(({ logprobs }) => sum(logprobs))); // prettier-ignore
          sharing.set(name, work.positions / work.computed);
        }),
    });
    pairs.push([`${name}, shared`, `${name}, each`], [`${name}, shared`, 'PyTorch, each'], [`${name}, shared`, 'PyTorch, shared']);
  }
  if (torch) {
    const peer = (name: string, task: string, of: readonly Text[], details: Record<string, unknown>): Arm => ({
      name,
      units: of.length,
      run: async () => {
        const ids = of.map((text) => text.ids);
        const { wall, cpu, sums } = await torch.run<{ sums: number[] }>(task, { texts: ids, prompt_lengths: lengths(of), ...details });
        found.set(name, sums);
        return { wall, cpu };
      },
    });
    arms.push(peer('PyTorch, each', 'score_full', some, {}), peer('PyTorch, shared', 'score_shared', texts, { primer, batch: 32 }));
    pairs.push(['PyTorch, shared', 'PyTorch, each']);
  }
  const comparison = await compare(arms, pairs, rounds);
  const ofSome = [...found.values()].map((sums) => (sums.length === some.length ? sums : sums.filter((_, i) => some.includes(texts[i]))));
  const difference = Math.max(...ofSome.map((sums) => largestDifference(sums, ofSome[0])));
  return { comparison, shared: [...sharing].map(([name, share]) => ({ name, share })), difference };
}

/** The published way: a request for each answer, log-probabilities of all positions. */
async function fullPasses(engine: Engine, texts: readonly Text[]): Promise<number[]> {
  const sums: number[] = [];
  for (const text of texts) {
    const { sequences } = await engine.score({ sequences: [text], kl: false });
    sums.push(sum(sequences[0].logprobs.subarray(text.promptLength - 1)));
  }
  return sums;
}

export const multipleChoice: Measurement<MultipleChoiceBench> = {
  name: 'multiple-choice',
  title: 'Multiple choice with a shared primer',
  of: 'model',
  columns: [
    'tokens of a text',
    'way: ms an answer',
    'against: ms an answer',
    'times as fast',
    'the same in processor time',
    'largest difference, nats',
    'absent',
  ],

  async run(bench) {
    const [questions, answers] = bench.quick ? [10, 4] : [40, 7];
    const contestants = await openContestants(bench, 1024);
    const { vocab, bosId } = bench.files.spec;
    const sizes: MultipleChoiceBench['sizes'][number][] = [];
    try {
      for (const primer of bench.quick ? primers.slice(0, 1) : primers) {
        const texts = choiceTexts(vocab, bosId, primer, questions, answers);
        const tokens = texts.reduce((total, { ids }) => total + ids.length, 0) / texts.length;
        const few = primer > 500 ? 4 : 8;
        const measured = await measureSize(contestants, texts, texts[0].ids.slice(0, primer), few, bench.rounds);
        sizes.push({ primer, tokens, ...measured });
      }
    } finally {
      await contestants.close();
    }
    return { questions, answers, sizes, missing: contestants.missing };
  },

  rows: ({ sizes, missing }) =>
    sizes.flatMap(({ tokens, comparison, difference }) =>
      comparisonRows(comparison).map((row) => [number(tokens, 0), ...row, difference.toExponential(1), missing.join('; ')]),
    ),
};
