import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CaptureArray, Engine } from '../../src/engine/engine.ts';
import { expectClose, generated } from './compare.ts';
import { inScope, type EngineUnderTest } from './engines.ts';
import { embeddedModelFolder, entry, goldenRoot, loadGolden, loadModelFolder, row, type Golden, type GoldenModel } from './golden.ts';
import { expectGreedy, toleranceOf } from './golden-suite.ts';
import { translate } from './translate.ts';

/** Goldens of the trained models for one engine. */
export function describeTrained(engine: EngineUnderTest): void {
  const chosen = inScope(engine, 'trained');
  if (chosen('real_stories260K'))
    describe('real_stories260K', () => oneTrained(engine, 'real_stories260K', join(goldenRoot, 'real_stories260K', 'model')));
  if (!chosen('real_stories15M')) return;
  const embedded = embeddedModelFolder();
  if (embedded === null) it.skip('real_stories15M: the embedded model is not there, `npm run model` makes it');
  else describe('real_stories15M', () => oneTrained(engine, 'real_stories15M', embedded));
}

function oneTrained(under: EngineUnderTest, name: string, folder: string): void {
  const golden = loadGolden(name);
  const { file, vectors, expected } = golden;
  const tolerance = toleranceOf(file, under.accuracy);
  let engine: Engine;
  let model: GoldenModel;

  beforeAll(async () => {
    model = loadModelFolder(folder);
    engine = await under.open(model.spec, model.source);
  });
  afterAll(async () => {
    await engine.dispose();
  });

  it('runs unedited', async () => {
    await checkScores(engine, golden, 'base', tolerance.logits);
    await checkZ(engine, golden, 'base', tolerance.values.abs);
  });

  for (const { name: tag, interventions } of file.interventions) {
    it(`runs the case ${tag}`, async () => {
      const graph = translate(interventions, model.spec, vectors);
      await checkScores(engine, golden, tag, tolerance.logits, graph);
      await checkZ(engine, golden, tag, tolerance.values.abs, graph);
      for (const [s, prompt] of file.sequences.entries()) {
        const { tokens } = await generated(engine, { prompt, graph, maxTokens: file.new_tokens, stop: [] });
        ['base', tag].forEach((lane, index) => {
          const want = entry(expected, `greedy.${lane}.${s}`).data;
          const gaps = entry(expected, `greedy_gaps.${lane}.${s}`).data;
          expectGreedy(tokens[index], want, gaps, under.accuracy, tolerance.logits, `greedy.${lane}.${s}`);
        });
      }
    });
  }
}

/** Prompts followed by their given continuations. */
const runsOf = ({ file }: Golden): { ids: number[]; promptLength: number }[] =>
  file.sequences.map((prompt, s) => ({ ids: [...prompt, ...(file.continuations?.[s] ?? [])], promptLength: prompt.length }));

async function checkScores(
  engine: Engine,
  golden: Golden,
  tag: string,
  allowed: number,
  graph?: ReturnType<typeof translate>,
): Promise<void> {
  const sequences = runsOf(golden);
  const scores = await engine.score({ sequences, graph, logits: true });
  scores.sequences.forEach(({ logits, logprobs, edited }, s) => {
    if (!logits) return expect.fail('no logits');
    const { ids, promptLength } = sequences[s];
    const width = logits.length / ids.length;
    const top = entry(golden.expected, `top_ids.${tag}.${s}`);
    const got = [...top.data].map((id, i) => logits[Math.floor(i / top.shape[1]) * width + id]);
    expectClose(got, entry(golden.expected, `top_logits.${tag}.${s}`).data, { abs: allowed }, `top_logits.${tag}.${s}`);
    const continuation = (edited ?? logprobs).subarray(promptLength - 1);
    expectClose(
      continuation,
      entry(golden.expected, `continuation_logprobs.${tag}.${s}`).data,
      { abs: allowed },
      `continuation_logprobs.${tag}.${s}`,
    );
  });
}

async function checkZ(engine: Engine, golden: Golden, tag: string, allowed: number, graph?: ReturnType<typeof translate>): Promise<void> {
  for (const [s, sequence] of runsOf(golden).entries()) {
    const { arrays } = await engine.capture({
      sequences: [sequence],
      points: [{ point: 'z' }],
      at: { at: [sequence.ids.length - 1] },
      graph,
    });
    const want = entry(golden.expected, `z_last.${tag}.${s}`);
    arrays.forEach((array: CaptureArray) => {
      expect(array.positions).toEqual([sequence.ids.length - 1]);
      expectClose(array.data, row(want, array.layer), { abs: allowed }, `z_last.${tag}.${s}, layer ${array.layer}`);
    });
    expect(arrays.length).toBe(want.shape[0]);
  }
}
