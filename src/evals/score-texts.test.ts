import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { referenceEngine } from '../../test/conformance/engines.ts';
import { loadGolden, loadGoldenModel } from '../../test/conformance/golden.ts';
import { oneHead, rich } from '../../test/conformance/graphs.ts';
import type { Engine, SequenceInput } from '../engine/engine.ts';
import type { Condition } from './condition.ts';
import { scoreTexts } from './score-texts.ts';
import { memoryUnits, type Json, type UnitStore } from './unit-store.ts';

const NAME = 'llama_gqa_tied';
let engine: Engine;
let texts: SequenceInput[];
let conditions: Condition[];

beforeAll(async () => {
  const { spec, source } = loadGoldenModel(NAME);
  engine = await referenceEngine.open(spec, source);
  const { sequences, prompt_lens } = loadGolden(NAME).file;
  texts = sequences.map((ids, i) => ({ ids, promptLength: prompt_lens[i] }));
  texts.push({ ids: [...texts[0].ids.slice(0, -1), 7], promptLength: texts[0].promptLength });
  const one = oneHead(spec, 1, 0, 3, 'generated');
  const other = rich(spec, spec.vocab);
  conditions = [
    { name: 'half', graph: one, lane: { strengths: { head: 0.5 } } },
    { name: 'rich', graph: other, lane: { strengths: { '*': 1 } } },
    { name: 'double', graph: one, lane: { strengths: { head: 2 } } },
    { name: 'nothing', graph: one, lane: {} },
  ];
});
afterAll(() => engine.dispose());

const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);

describe('scoring texts', () => {
  it.each(['all', 'answer'] as const)('gives what the engine gives for each text and condition alone, over %s', async (positions) => {
    const got = await scoreTexts(texts, conditions, { positions, kl: true, batchTokens: 12 }, { engine });
    for (const [c, condition] of conditions.entries()) {
      for (const [t, text] of texts.entries()) {
        const alone = await engine.score({ sequences: [text], graph: condition.graph, lanes: [condition.lane], positions });
        const [{ logprobs, lanes }] = alone.sequences;
        expect(got.unedited[t]).toEqual({ sum: sum(logprobs), tokens: logprobs.length, kl: 0, edits: 0 });
        const [lane] = lanes;
        expect(got.conditions[c][t]).toEqual({
          sum: sum(lane.logprobs),
          tokens: logprobs.length,
          kl: sum(lane.kl ?? []),
          edits: sum(Object.values(lane.edits)),
        });
      }
    }
  });

  it('a condition of factor 0 is the unedited model', async () => {
    const { unedited, conditions: rows } = await scoreTexts(texts, [conditions[3]], { positions: 'all', kl: true }, { engine });
    expect(rows[0]).toEqual(unedited);
  });

  it('scores equal texts once and gives them in the order asked for', async () => {
    const spy = vi.spyOn(engine, 'score');
    const twice = [texts[1], texts[0], texts[1]];
    const got = await scoreTexts(twice, [], { positions: 'answer', kl: false }, { engine });
    expect(spy.mock.calls.flatMap(([request]) => request.sequences)).toHaveLength(2);
    spy.mockRestore();
    expect(got.unedited[0]).toEqual(got.unedited[2]);
    const alone = await scoreTexts([texts[0]], [], { positions: 'answer', kl: false }, { engine });
    expect(got.unedited[1]).toEqual(alone.unedited[0]);
  });

  it('runs conditions of one graph as lanes of one request', async () => {
    const spy = vi.spyOn(engine, 'score');
    await scoreTexts(texts, conditions, { positions: 'answer', kl: false }, { engine });
    expect(spy.mock.calls.map(([request]) => request.lanes?.length)).toEqual([3, 1]);
    spy.mockRestore();
  });

  it('reports progress up to the end', async () => {
    const seen: number[] = [];
    const run = { engine, onProgress: ({ done, total }: { done: number; total: number }) => seen.push(done / total) };
    await scoreTexts(texts, conditions, { positions: 'answer', kl: false, batchTokens: 12 }, run);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
  });
});

describe('what is kept', () => {
  const options = { positions: 'answer', kl: true, batchTokens: 12 } as const;

  it('is not run again, and new conditions alone are', async () => {
    const store = memoryUnits();
    const first = await scoreTexts(texts, conditions.slice(0, 2), options, { engine, store });
    const spy = vi.spyOn(engine, 'score');
    const again = await scoreTexts(texts, conditions.slice(0, 2), options, { engine, store });
    expect(spy).not.toHaveBeenCalled();
    expect(again.conditions).toEqual(first.conditions);
    expect(again.work.computed).toBe(0);
    const more = await scoreTexts(texts, conditions, options, { engine, store });
    expect(spy.mock.calls.every(([request]) => request.lanes?.length === 2)).toBe(true);
    spy.mockRestore();
    expect(more.conditions.slice(0, 2)).toEqual(first.conditions);
    expect(more.conditions).toEqual((await scoreTexts(texts, conditions, options, { engine })).conditions);
  });

  it('survives a stop: what was finished is not done again', async () => {
    const whole = await scoreTexts(texts, conditions, options, { engine });
    const units = memoryUnits();
    const controller = new AbortController();
    let sets = 0;
    const store: UnitStore = {
      get: (key) => units.get(key),
      set: async (key, value: Json) => {
        await units.set(key, value);
        sets += 1;
        if (sets === 3) controller.abort();
      },
    };
    await expect(scoreTexts(texts, conditions, options, { engine, store, signal: controller.signal })).rejects.toMatchObject({
      code: 'request/aborted',
    });
    const progress: number[] = [];
    const resumed = await scoreTexts(texts, conditions, options, {
      engine,
      store: units,
      onProgress: ({ reused }) => progress.push(reused),
    });
    expect(progress.at(-1)).toBeGreaterThan(0);
    expect({ ...resumed, work: null }).toEqual({ ...whole, work: null });
  });

  it('that cannot be read is run again', async () => {
    const store: UnitStore = { get: () => Promise.resolve([['x']]), set: () => Promise.resolve() };
    const got = await scoreTexts(texts, conditions, options, { engine, store });
    expect(got.conditions).toEqual((await scoreTexts(texts, conditions, options, { engine })).conditions);
  });
});
