import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, Sampling } from '../../src/engine/engine.ts';
import { noise } from '../../src/engine/random.ts';
import { keepThreshold } from '../../src/engine/reference/ops/sample.ts';
import { expectClose, generated, type Generated } from './compare.ts';
import type { EngineUnderTest } from './engines.ts';
import { loadGolden, loadGoldenModel } from './golden.ts';
import { oneHead } from './graphs.ts';

/** Scores this close may be told apart differently in f32. */
const TIE = 2e-3;

/** Sampling and the random stream, on one engine. */
export function describeSampling(under: EngineUnderTest): void {
  const name = 'llama_gqa_tied';
  const { file } = loadGolden(name);
  const { spec, source } = loadGoldenModel(name);
  const prompt = file.sequences[0].slice(0, file.prompt_lens[0]);
  const steer = oneHead(spec, 1, 0, 3);
  let engine: Engine;

  beforeAll(async () => {
    engine = await under.open(spec, source);
  });
  afterAll(async () => {
    await engine.dispose();
  });

  const sampled = (
    sampling: Sampling,
    lanes = [{ name: 'as is' }, { strengths: { '*': 0 } }, { strengths: { '*': 1 } }],
  ): Promise<Generated> => generated(engine, { prompt, graph: steer, lanes, sampling, maxTokens: 12, stop: [] });

  describe('sampling', () => {
    it('gives the same tokens for the same seed, and others for another', async () => {
      const first = await sampled({ temperature: 1, seed: 5 });
      expect((await sampled({ temperature: 1, seed: 5 })).tokens).toEqual(first.tokens);
      expect((await sampled({ temperature: 1, seed: 6 })).tokens[0]).not.toEqual(first.tokens[0]);
      expect((await sampled({ temperature: 1, seed: 0xffffffff })).tokens[0]).not.toEqual(first.tokens[0]);
    });

    it('shares the random stream between lanes: factor 0 gives the tokens of lane 0', async () => {
      for (const sampling of [
        { temperature: 1, seed: 1 },
        { temperature: 1.5, topK: 20, topP: 0.9, seed: 2 },
      ]) {
        const { tokens, logprobs } = await sampled(sampling);
        expect(tokens[1]).toEqual(tokens[0]);
        expect(logprobs[1]).toEqual(logprobs[0]);
        expect(tokens[2]).not.toEqual(tokens[0]);
      }
    });

    it('gives a lane of its own seed what a run with that seed gives', async () => {
      const lanes = [{ name: 'as is' }, { name: 'other', seed: 9 }];
      const { tokens } = await sampled({ temperature: 1, seed: 4 }, lanes);
      expect(tokens[0]).not.toEqual(tokens[1]);
      expect(tokens[1]).toEqual((await sampled({ temperature: 1, seed: 9 }, [lanes[0]])).tokens[0]);
    });

    it('is greedy at temperature 0, with topK 1 and with a tiny topP', async () => {
      const greedy = (await sampled({})).tokens;
      expect((await sampled({ temperature: 0, seed: 3, topK: 5, topP: 0.5 })).tokens).toEqual(greedy);
      expect((await sampled({ temperature: 1, topK: 1, seed: 3 })).tokens).toEqual(greedy);
      expect((await sampled({ temperature: 1, topP: 1e-6, seed: 3 })).tokens).toEqual(greedy);
      expect((await sampled({ temperature: 0.001, seed: 3 })).tokens).toEqual(greedy);
    });

    const rules: readonly Required<Sampling>[] = [
      { temperature: 1, topK: 0, topP: 1, seed: 11 },
      { temperature: 0.7, topK: 10, topP: 1, seed: 12 },
      { temperature: 1.3, topK: 0, topP: 0.8, seed: 13 },
      { temperature: 1, topK: 30, topP: 0.6, seed: 0xfffffffe },
    ];
    for (const rule of rules) {
      const words = `temperature ${rule.temperature}, topK ${rule.topK}, topP ${rule.topP}, seed ${rule.seed}`;
      it(`follows the rule of src/engine/random.ts at ${words}`, async () => {
        const { tokens, logprobs } = await sampled(rule);
        const ids = [...prompt, ...tokens[2]];
        const { sequences } = await engine.score({ sequences: [{ ids, promptLength: prompt.length }], graph: steer, logits: true });
        const { logits, edited } = sequences[0];
        if (!logits || !edited) return expect.fail('no logits');
        expectClose(
          logprobs[2],
          edited.subarray(prompt.length - 1),
          { abs: Math.max(under.accuracy.order, 1e-5) },
          'log-probabilities at temperature 1',
        );
        tokens[2].forEach((token, n) => {
          const position = prompt.length - 1 + n;
          const at = logits.subarray(position * spec.vocab, (position + 1) * spec.vocab);
          checkChoice(at, rule, position, token);
        });
      });
    }
  });
}

/** The token is kept, and nothing that is surely kept scores better by more than rounding. */
function checkChoice(logits: Float32Array, rule: Required<Sampling>, position: number, token: number): void {
  const value = (id: number): number => logits[id] / rule.temperature + noise(rule.seed, position, id);
  const loose = keepThreshold(logits, { ...rule, topP: Math.min(1, rule.topP + 1e-4) });
  const strict = keepThreshold(logits, { ...rule, topP: Math.max(1e-9, rule.topP - 1e-4) });
  expect(logits[token], `token ${token} after position ${position} is kept`).toBeGreaterThanOrEqual(loose - TIE);
  logits.forEach((logit, id) => {
    if (logit < strict + TIE && rule.topP < 1) return;
    if (logit < strict) return;
    expect(value(token), `token ${token} after position ${position} against token ${id}`).toBeGreaterThanOrEqual(value(id) - TIE);
  });
}
