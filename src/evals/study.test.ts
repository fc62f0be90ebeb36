import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { referenceEngine } from '../../test/conformance/engines.ts';
import { goldenRoot, loadModelFolder } from '../../test/conformance/golden.ts';
import { direction } from '../../test/conformance/graphs.ts';
import type { Engine } from '../engine/engine.ts';
import type { Example } from '../examples/example.ts';
import { buildGraph } from '../graph/vectors.ts';
import type { Fitted } from '../methods/method.ts';
import { createTokenizer } from '../model/tokenizer.ts';
import { choosePoint, measureTest, readSweep } from './chosen.ts';
import { byGroup } from './effect.ts';
import { resampling } from './estimate.ts';
import { exampleEffect } from './example-effect.ts';
import { neutralSets, neutralTexts, readNeutralTexts } from './neutral-texts.ts';
import { measureDamage } from './damage.ts';
import { projectionEffect } from './projection-effect.ts';
import { sampleEffect } from './sample-effect.ts';
import { conditionOf, runSweep, type SweepPoint, type SweepRequest } from './sweep.ts';
import { memoryUnits } from './unit-store.ts';

const folder = join(goldenRoot, 'real_stories260K', 'model');
const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown;
const tokenizer = createTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
const bootstrap = resampling(3, 200);
const neutral = neutralTexts(neutralSets.stories.texts.slice(0, 3), (text) => tokenizer.encode(text), 24);
let engine: Engine;
let fitted: Fitted;

beforeAll(async () => {
  const { spec, source } = loadModelFolder(folder);
  engine = await referenceEngine.open(spec, source);
  const places = [0, 1, 2].map((head) => ({ id: `h1.${head}`, at: { point: 'z', layer: 1, head } as const }));
  const data = new Float32Array(3 * spec.headDim);
  places.forEach((_, row) => data.set(direction(row + 1, spec.headDim), row * spec.headDim));
  fitted = {
    graph: buildGraph({
      model: spec,
      nodes: places.map((place, row) => ({ ...place, edit: 'add', tokens: 'generated', vector: ['d', row] })),
      vectors: { d: { shape: [3, spec.headDim], data } },
    }),
    ranking: [['h1.1'], ['h1.0'], ['h1.2']],
    chosen: 2,
    report: { method: 'planted', settings: {}, places: [], scoreName: '', notes: [], numbers: {} },
  };
});
afterAll(() => engine.dispose());

const rows = (from: number, count: number): Example[] =>
  Array.from({ length: count }, (_, i) => ({
    kind: 'continuations',
    line: i + 1,
    group: `row ${from + i}`,
    prompt: ['One day a boy', 'Once upon a time', 'The dog was', 'Lily saw a'][i % 4],
    wanted: ['went to the park.', 'there was a cat.', 'very happy.', 'big tree.'][(i + from) % 4],
    unwanted: ['fell and cried.', 'it was dark.', 'very sad.', 'bad bug.'][(i + 2 * from) % 4],
  }));
const effect = (part: 'validation' | 'test', from: number) =>
  exampleEffect('continuations', rows(from, 4), tokenizer, { effect: 'auto', part, template: 'none', maxContext: 128 });
const request = (extra: Partial<SweepRequest> = {}): SweepRequest => ({
  fits: [{ name: 'planted', fitted }],
  strengths: [0, 1, 4],
  counts: [1, 3, 9],
  effect: effect('validation', 0),
  neutral,
  resampling: bootstrap,
  ...extra,
});

describe('a sweep', () => {
  it('gives the unedited model, then every strength and number of places there is', async () => {
    const streamed: SweepPoint[] = [];
    const sweep = await runSweep(request(), { engine, onPoint: (point, index) => (streamed[index] = point) });
    expect(sweep.points.map(({ fit, strength, count }) => [fit, strength, count])).toEqual([
      ['', 0, 0],
      ['planted', 1, 1],
      ['planted', 4, 1],
      ['planted', 1, 3],
      ['planted', 4, 3],
    ]);
    expect(streamed).toEqual(sweep.points);
    expect(sweep.notes.join()).toContain('larger numbers of places are left out');
    const [unedited, ...edited] = sweep.points;
    expect(unedited.damage.kl.value).toBe(0);
    expect(unedited.gain.value).toBe(0);
    for (const point of edited) {
      expect(point.damage.kl.value).toBeGreaterThan(0);
      expect(point.gain.value).toBeCloseTo(point.effect.value - unedited.effect.value, 10);
      expect(point.edits).toBeGreaterThan(0);
      const rise = point.damage.crossEntropy.value - unedited.damage.crossEntropy.value;
      expect(point.damage.crossEntropyRise.value).toBeCloseTo(rise, 10);
    }
    const kl = (strength: number, count: number): number =>
      edited.find((point) => point.strength === strength && point.count === count)?.damage.kl.value ?? NaN;
    expect(kl(4, 3)).toBeGreaterThan(kl(1, 3));
  });

  it('does not depend on how many conditions run together', async () => {
    const [apart, together] = [await runSweep(request({ together: 1 }), { engine }), await runSweep(request(), { engine })];
    expect(apart.points).toEqual(together.points);
  });

  it('resumes: with everything in the store no model is run', async () => {
    const store = memoryUnits();
    const samples = { prompts: [{ ids: tokenizer.encode('Once upon a time') }], maxTokens: 6 };
    const first = await runSweep(request({ samples }), { engine, store });
    expect(first.points[0].repetition?.looping.units).toBe(1);
    const spies = [vi.spyOn(engine, 'score'), vi.spyOn(engine, 'generate')];
    const progress: number[] = [];
    const run = { engine, store, onProgress: ({ done, total }: { done: number; total: number }) => progress.push(done / total) };
    const again = await runSweep(request({ samples }), run);
    for (const spy of spies) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
    expect(again.points).toEqual(first.points);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(1);
  });

  it('refuses test rows, doubtful grids and stops when asked', async () => {
    await expect(runSweep(request({ effect: effect('test', 9) }), { engine })).rejects.toMatchObject({ code: 'eval/part' });
    await expect(runSweep(request({ strengths: [NaN] }), { engine })).rejects.toMatchObject({ code: 'eval/setting' });
    await expect(runSweep(request({ counts: [0] }), { engine })).rejects.toMatchObject({ code: 'eval/setting' });
    await expect(runSweep(request(), { engine, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'request/aborted' });
  });
});

describe('the test measurement', () => {
  it('is of the chosen point beside controls, on rows it was not chosen on', async () => {
    const sweep = await runSweep(request(), { engine });
    const reading = readSweep(sweep, 100);
    expect(reading.frontier[0]).toBe(0);
    const chosen = choosePoint(sweep, 2);
    const measures = { effect: effect('test', 9), neutral, resampling: bootstrap };
    const prompted = exampleEffect('continuations', rows(9, 4), tokenizer, {
      effect: 'auto',
      part: 'test',
      template: 'none',
      maxContext: 128,
      preamble: 'Tell a happy story.',
    });
    const result = await measureTest(chosen, measures, [{ name: 'itself', fitted }], { engine }, prompted);
    expect(result.rows.map(({ name }) => name)).toEqual(['unedited', 'chosen', 'itself']);
    expect({ ...result.rows[2], name: '' }).toEqual({ ...result.rows[1], name: '' });
    expect(result.promptOnly?.gain.units).toBe(4);
    expect(result.promptOnly?.gain.value).not.toBe(0);
  });

  it('refuses validation rows and rows that were chosen on', async () => {
    const chosen = choosePoint(await runSweep(request({ counts: [1], strengths: [1] }), { engine }), 1);
    const measures = { neutral, resampling: bootstrap };
    await expect(measureTest(chosen, { ...measures, effect: effect('validation', 9) }, [], { engine })).rejects.toMatchObject({
      code: 'eval/part',
    });
    await expect(measureTest(chosen, { ...measures, effect: effect('test', 3) }, [], { engine })).rejects.toMatchObject({
      code: 'eval/part',
    });
  });

  it('of nothing recommended is of the unedited model alone', async () => {
    const sweep = await runSweep(request({ counts: [1], strengths: [1] }), { engine });
    const { recommended, reason } = readSweep(sweep, 0);
    expect([recommended, reason]).toEqual([0, expect.stringContaining('Nothing is recommended')]);
    const measures = { effect: effect('test', 9), neutral, resampling: bootstrap };
    const { rows: measured } = await measureTest(choosePoint(sweep, recommended), measures, [], { engine });
    expect(measured.map(({ name }) => name)).toEqual(['unedited']);
  });
});

describe('effects', () => {
  it('on labelled texts is the difference of class means of log-probability per token', async () => {
    const texts = ['the boy was happy', 'a good day', 'it was sad and dark in the park', 'no'];
    const labelled = texts.map((text, i): Example => ({ kind: 'labelled', line: i, group: text, text, label: i < 2 ? 1 : 0 }));
    const given = exampleEffect('labelled', labelled, tokenizer, { effect: 'auto', part: 'validation', template: 'none', maxContext: 128 });
    const { unedited } = await given.measure([], { engine });
    const { sequences } = await engine.score({ sequences: texts.map((text) => ({ ids: tokenizer.encode(text) })) });
    const means = sequences.map(({ logprobs }) => logprobs.reduce((a, b) => a + b, 0) / logprobs.length);
    const want = (means[0] + means[1]) / 2 - (means[2] + means[3]) / 2;
    expect(unedited.reduce((a, b) => a + b, 0) / 4).toBeCloseTo(want, 10);
  });

  it('by a probe moves along the direction that is added above it', async () => {
    const hidden = engine.model.hidden;
    const axis = Float32Array.from({ length: hidden }, (_, i) => (i === 3 ? 1 : 0));
    const graph = buildGraph({
      model: engine.model,
      nodes: [{ id: 'push', edit: 'add', at: { point: 'resid_post', layer: 1 }, tokens: 'all', vector: 'a', strength: 2 }],
      vectors: { a: { shape: [hidden], data: axis } },
    });
    const texts = ['one day', 'the cat sat'].map((text) => {
      const ids = tokenizer.encode(text);
      return { group: text, text: { ids }, position: ids.length - 1 };
    });
    const probe = projectionEffect('validation', texts, { point: 'resid_post', layer: 1, direction: axis });
    const store = memoryUnits();
    const conditions = [
      { name: 'push', graph, lane: { strengths: { push: 1.5 } } },
      { name: 'off', graph, lane: {} },
    ];
    const got = await probe.measure(conditions, { engine, store });
    got.unedited.forEach((value, i) => {
      expect(got.conditions[0][i] - value).toBeCloseTo(3, 4);
      expect(got.conditions[1][i]).toBe(value);
    });
    expect(await probe.measure(conditions, { engine, store })).toEqual(got);
  });

  it('by a scorer over samples counts what was written', async () => {
    const plan = { prompts: [{ ids: tokenizer.encode('Once upon a time') }, { ids: tokenizer.encode('The big dog') }], maxTokens: 8 };
    const given = sampleEffect('validation', plan, ['a', 'b'], { kind: 'built-in', name: 'length' }, (ids) => tokenizer.decode(ids));
    const named = { name: 'planted', fitted };
    const got = await given.measure([conditionOf(named, 0, 1), conditionOf(named, 30, 3)], { engine });
    expect(got.unedited.every((value) => value > 0)).toBe(true);
    expect(got.conditions[0]).toEqual(got.unedited);
    expect(got.conditions[1]).not.toEqual(got.unedited);
    expect(got.edits[0]).toBe(0);
    expect(got.edits[1]).toBeGreaterThan(0);
  });

  it('are averaged over the units of a group', () => {
    expect(byGroup([1, 3, 10], ['a', 'a', 'b'])).toEqual([2, 10]);
  });

  it('that do not fit the examples are refused', () => {
    const wrong = () =>
      exampleEffect('continuations', rows(0, 2), tokenizer, { effect: 'mc1', part: 'validation', template: 'none', maxContext: 128 });
    expect(wrong).toThrowError(expect.objectContaining({ code: 'eval/setting' }) as Error);
  });
});

describe('damage', () => {
  it('is the mean over all tokens of cross entropy and of KL against the unedited model', async () => {
    const condition = conditionOf({ name: 'planted', fitted }, 2, 2);
    const got = await measureDamage(neutral, [condition], bootstrap, { engine });
    const { sequences } = await engine.score({ sequences: neutral.sequences, graph: condition.graph, lanes: [condition.lane] });
    const tokens = sequences.reduce((total, { logprobs }) => total + logprobs.length, 0);
    const over = (values: (index: number) => ArrayLike<number>): number =>
      sequences.reduce((total, _, i) => total + Array.from(values(i)).reduce((a, b) => a + b, 0), 0) / tokens;
    expect(got.unedited.crossEntropy.value).toBeCloseTo(-over((i) => sequences[i].logprobs), 10);
    expect(got.conditions[0].crossEntropy.value).toBeCloseTo(-over((i) => sequences[i].lanes[0].logprobs), 10);
    expect(got.conditions[0].kl.value).toBeCloseTo(
      over((i) => sequences[i].lanes[0].kl ?? []),
      10,
    );
    expect(got.conditions[0].kl.units).toBe(3);
    const [low, high] = got.conditions[0].kl.interval;
    expect(low).toBeLessThanOrEqual(got.conditions[0].kl.value);
    expect(high).toBeGreaterThanOrEqual(got.conditions[0].kl.value);
  });

  it('acts after the first token, where edits are for generated ones', async () => {
    const got = await measureDamage(neutral, [conditionOf({ name: 'planted', fitted }, 1, 1)], bootstrap, { engine });
    expect(got.edits).toEqual([neutral.tokens]);
    expect(got.notes.join()).toContain('counts as generated');
  });

  it('is on documents that are cut, counted and said', () => {
    const encode = (text: string): number[] => text.split(' ').map(Number);
    const texts = neutralTexts(['1 2 3 4', '5', '6 7'], encode, 3);
    expect(texts).toMatchObject({ tokens: 5, cut: 1, sequences: [{ ids: [1, 2, 3], promptLength: 1 }, { ids: [6, 7] }] });
    expect(texts.notes.join(' ')).toMatch(/1 of them are cut to 3 tokens\. 1 documents/);
    expect(() => neutralTexts(['1'], encode)).toThrowError(expect.objectContaining({ code: 'eval/units' }) as Error);
  });

  it('on a person’s own texts, one a line or JSON lines', () => {
    expect(readNeutralTexts('one line\r\n\n{"text": "two"}\n"three"\n"Hello," she said.')).toEqual([
      'one line',
      'two',
      'three',
      '"Hello," she said.',
    ]);
    expect(() => readNeutralTexts('{"txt": 1}')).toThrowError(expect.objectContaining({ code: 'eval/setting' }) as Error);
    expect(() => readNeutralTexts(' \n')).toThrowError(expect.objectContaining({ code: 'eval/units' }) as Error);
  });

  it.each(['general', 'stories'] as const)('has %s texts that are all different', (name) => {
    const { texts } = neutralSets[name];
    expect(new Set(texts).size).toBe(texts.length);
    for (const text of texts) expect(text.split(' ').length).toBeGreaterThan(60);
  });
});
