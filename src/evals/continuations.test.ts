import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referenceEngine } from '../../test/conformance/engines.ts';
import { loadGoldenModel } from '../../test/conformance/golden.ts';
import { oneHead } from '../../test/conformance/graphs.ts';
import type { Engine } from '../engine/engine.ts';
import { measureContinuations, pairReport, type TextPair } from './continuations.ts';
import { resampling } from './estimate.ts';
import { measureLetters, type LetterItem } from './letters.ts';

const draws = resampling(1, 100);

describe('pairs, by hand', () => {
  const control = { wanted: [-1, -2], unwanted: [-3, -1] };

  it('steering that lowers everything is seen to', () => {
    const report = pairReport({ wanted: [-1.5, -2.5], unwanted: [-4, -2] }, control, draws);
    expect(report.change.wanted.value).toBe(-0.5);
    expect(report.change.unwanted.value).toBe(-1);
    expect(report.change.gap.value).toBe(0.5);
    expect(report.gap.value).toBe(1);
    expect(report.accuracy.value).toBe(0.5);
    expect(report.promotion.none.at(-1)).toEqual({ share: 1, promote: -0.5, suppress: 1 });
  });

  it('a tie is not accurate', () => {
    expect(pairReport({ wanted: [-1], unwanted: [-1] }, { wanted: [-1], unwanted: [-1] }, draws).accuracy.value).toBe(0);
  });
});

describe('on a model', () => {
  let engine: Engine;
  beforeAll(async () => {
    const { spec, source } = loadGoldenModel('llama_gqa_tied');
    engine = await referenceEngine.open(spec, source);
  });
  afterAll(() => engine.dispose());

  const pairs: TextPair[] = [1, 2, 3].map((first) => ({
    group: String(first),
    wanted: { ids: [first, 5, 6, 7], promptLength: 2 },
    unwanted: { ids: [first, 5, 8], promptLength: 2 },
  }));

  it('sums and means are of the continuation alone', async () => {
    const graph = oneHead(engine.model, 1, 0, 4, 'generated');
    const condition = { name: 'push', graph, lane: { strengths: { head: 1 } } };
    const got = await measureContinuations(pairs, [condition], draws, { engine });
    const { sequences } = await engine.score({ sequences: pairs.map(({ wanted }) => wanted), graph });
    const sums = (rows: readonly Float32Array[]): number => rows.reduce((total, row) => total + row[1] + row[2], 0) / 3;
    expect(got.unedited.sum.wanted.value).toBeCloseTo(sums(sequences.map(({ logprobs }) => logprobs)), 6);
    expect(got.unedited.mean.wanted.value).toBeCloseTo(sums(sequences.map(({ logprobs }) => logprobs)) / 2, 6);
    expect(got.conditions[0].sum.wanted.value).toBeCloseTo(sums(sequences.map(({ lanes }) => lanes[0].logprobs)), 6);
    expect(got.unedited.sum.change.gap).toEqual({ value: 0, interval: [0, 0], units: 3 });
    await expect(measureContinuations([], [], draws, { engine })).rejects.toMatchObject({ code: 'eval/units' });
  });

  it('letters are normalised over the two options', async () => {
    const items: LetterItem[] = pairs.map((pair) => ({ group: pair.group, pair, swapped: null, matchingFirst: null }));
    const got = await measureLetters(items, [], draws, { engine });
    const { sequences } = await engine.score({
      sequences: pairs.flatMap(({ wanted, unwanted }) => [wanted, unwanted]),
      positions: 'answer',
    });
    const sum = (i: number): number => sequences[i].logprobs.reduce((a, b) => a + b, 0);
    const probability = pairs.map((_, i) => Math.exp(sum(2 * i)) / (Math.exp(sum(2 * i)) + Math.exp(sum(2 * i + 1))));
    expect(got.unedited.probability.value).toBeCloseTo(probability.reduce((a, b) => a + b, 0) / 3, 9);
    expect(got.unedited.first).toBeNull();
    expect(got.swapped).toBe(0);
  });
});
