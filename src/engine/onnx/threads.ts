import { quantizeRows } from '../../model/quantize.ts';
import type { ModelSpec } from '../../model/spec.ts';
import type { Quantization } from '../../model/weights.ts';
import type { AccuracyLevel, Matrix } from './matrix.ts';
import { blockOutputPiece } from './pieces.ts';
import { Piece, type OnnxRuntime, type ThreadChoice } from './runtime.ts';

/** Rows of a prompt's call, and how often it is weighed against one token: a request of 128 tokens that asks for 64. */
const PROMPT_ROWS = 64;
const PROMPT_CALLS = 2;
const DECODED = 64;
const REPEATS = 7;

/** What it takes to measure a number of threads. */
type CostOf = (threads: number) => Promise<number>;

/**
 * How many threads a product should use, by a short measurement of the model's largest one: on a machine that is shared, or whose cores
 * are, two can be slower than one. What is weighed is a request of 128 tokens that asks for 64.
 */
export async function measureThreads(
  runtime: OnnxRuntime,
  spec: ModelSpec,
  quantization: Quantization,
  level: AccuracyLevel,
  now: () => number,
): Promise<ThreadChoice> {
  if (runtime.threads) return runtime.threads;
  if (runtime.maxThreads <= 1) return { count: 1, line: 'threads are not a choice of the model' };
  return fastestThreads(runtime.maxThreads, (threads) => productCost(runtime, sampled(spec), quantization, level, threads, now));
}

/** Weights of the product that is measured, at most: enough for any cache to be left behind, little beside a model that has more. */
const SAMPLE_WEIGHTS = 2 ** 26;

/** The model with fewer outputs where its product is larger. */
const sampled = (spec: ModelSpec): ModelSpec => ({ ...spec, hidden: Math.min(spec.hidden, Math.ceil(SAMPLE_WEIGHTS / spec.intermediate)) });

/** The number of threads, of 1, 2, 4, ... and `most`, at which it costs least. */
export async function fastestThreads(most: number, costOf: CostOf): Promise<ThreadChoice> {
  const costs: { readonly threads: number; readonly cost: number }[] = [];
  for (const threads of candidatesOf(most)) costs.push({ threads, cost: await costOf(threads) });
  const best = costs.reduce((a, b) => (b.cost < a.cost ? b : a));
  const measured = costs.map(({ threads, cost }) => `${threads}: ${(cost / best.cost).toFixed(2)}`).join(', ');
  return {
    count: best.threads,
    line: `${best.threads} ${best.threads === 1 ? 'thread' : 'threads'}, the fastest (time by threads ${measured})`,
  };
}

/** Milliseconds that the largest product takes in such a request, if it runs on so many threads. */
export async function productCost(
  runtime: OnnxRuntime,
  spec: ModelSpec,
  quantization: Quantization,
  level: AccuracyLevel,
  threads: number,
  now: () => number,
): Promise<number> {
  const model = blockOutputPiece({ spec, level }, { matrix: sampleMatrix(spec, quantization), postNorm: null });
  const piece = await Piece.create(runtime, model, threads);
  try {
    const one = await typical(runtime, piece, spec, 1, now);
    const many = await typical(runtime, piece, spec, PROMPT_ROWS, now);
    return DECODED * one + PROMPT_CALLS * many;
  } finally {
    await piece.release();
  }
}

/** 1, 2, 4, ... and the most there are. */
function candidatesOf(most: number): number[] {
  const out: number[] = [];
  for (let threads = 1; threads < most; threads *= 2) out.push(threads);
  return [...out, most];
}

function sampleMatrix({ hidden, intermediate }: ModelSpec, quantization: Quantization): Matrix {
  const values = new Float32Array(hidden * intermediate);
  for (let i = 0; i < values.length; i++) values[i] = ((i * 7) % 13) / 13 - 0.5;
  const shape = { outputs: hidden, inputs: intermediate, bias: null };
  if (quantization === 'none') return { ...shape, weights: { kind: 'f32', values } };
  return { ...shape, weights: { kind: quantization, quantized: quantizeRows(values, hidden, intermediate, quantization) } };
}

/** The median, not the best: a machine that is shared shows itself in the ordinary run. */
async function typical(
  runtime: OnnxRuntime,
  piece: Piece,
  { hidden, intermediate }: ModelSpec,
  rows: number,
  now: () => number,
): Promise<number> {
  const tensor = (width: number): InstanceType<typeof runtime.Tensor> =>
    new runtime.Tensor('float32', new Float32Array(rows * width).fill(0.5), [rows, width]);
  const inputs = { inner: tensor(intermediate), x: tensor(hidden) };
  const outputs = { y: tensor(hidden) };
  const times: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    const before = now();
    await piece.run(inputs, outputs);
    times.push(now() - before);
  }
  return times.sort((a, b) => a - b)[REPEATS >> 1];
}
