import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { referenceEngine } from '../../test/conformance/engines.ts';
import { loadGoldenModel } from '../../test/conformance/golden.ts';
import { oneHead } from '../../test/conformance/graphs.ts';
import type { Engine, SequenceInput } from '../engine/engine.ts';
import type { QuestionTexts } from './choices.ts';
import type { Condition } from './condition.ts';
import { measureDamage } from './damage.ts';
import { resampling } from './estimate.ts';
import { multipleChoice } from './multiple-choice.ts';
import type { EvalPart, EvalRun } from './run.ts';
import { memoryUnits } from './unit-store.ts';

let engine: Engine;
let conditions: Condition[];
/** Enough tokens for several requests. */
const texts: SequenceInput[] = Array.from({ length: 60 }, (_, i) => ({
  ids: Array.from({ length: 30 }, (_, t) => 1 + ((i * 37 + t * (3 + i)) % 150)),
  promptLength: 20,
}));

beforeAll(async () => {
  const { spec, source } = loadGoldenModel('llama_gqa_tied');
  engine = await referenceEngine.open(spec, source);
  const graph = oneHead(spec, 1, 0, 3, 'all');
  conditions = [0.5, 2].map((factor) => ({ name: `x${factor}`, graph, lane: { strengths: { '*': factor } } }));
});
afterAll(() => engine.dispose());

const questions: QuestionTexts = {
  texts,
  questions: Array.from({ length: 20 }, (_, i) => ({ group: String(i), best: 0, right: 1, wrong: 2 })),
  notes: [],
};
const damage = async (run: EvalRun): Promise<Record<string, number>[]> => {
  const neutral = { sequences: texts, tokens: 60 * 29, sha256: '', cut: 0, limit: 64, notes: [] };
  const { unedited, conditions: rows } = await measureDamage(neutral, conditions, resampling(1), run);
  return [unedited, ...rows].map(({ crossEntropy, kl }) => ({ crossEntropy: crossEntropy.value, kl: kl.value }));
};
const choice = async (run: EvalRun): Promise<Record<string, number>[]> => {
  const { unedited, conditions: rows } = await multipleChoice(questions, conditions, resampling(1), run);
  return [unedited, ...rows].map(({ sum }) => ({ mc1: sum.mc1.value.value, mc2: sum.mc2.value.value, mc3: sum.mc3.value.value }));
};

describe('parts of evaluations', () => {
  it.each([
    ['damage', 'documents', damage],
    ['multiple choice', 'questions', choice],
  ] as const)('tell means over what is finished, and of all at the end: %s', async (_, unit, measure) => {
    const store = memoryUnits();
    const parts: EvalPart[] = [];
    const values = await measure({ engine, store, onPart: (part) => parts.push(part) });
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.length).toBeLessThanOrEqual(10);
    const done = parts.map((part) => part.done);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(parts[0].done).toBeLessThan(parts[0].total);
    expect(parts.at(-1)).toEqual({ unit, done: parts[0].total, total: parts[0].total, values });

    // Begun again: the same parts, though nothing is run.
    const spy = vi.spyOn(engine, 'score');
    const again: EvalPart[] = [];
    await measure({ engine, store, onPart: (part) => again.push(part) });
    expect(spy).not.toHaveBeenCalled();
    expect(again).toEqual(parts);
    spy.mockRestore();
  });
});
