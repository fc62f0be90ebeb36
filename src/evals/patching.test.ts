import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { referenceEngine } from '../../test/conformance/engines.ts';
import { goldenRoot, loadModelFolder } from '../../test/conformance/golden.ts';
import type { Engine } from '../engine/engine.ts';
import { createTokenizer } from '../model/tokenizer.ts';
import { patchPlaces, type PatchedPlace, type PatchRequest } from './patching.ts';
import { memoryUnits } from './unit-store.ts';

const folder = join(goldenRoot, 'real_stories260K', 'model');
const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown;
const tokenizer = createTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
const ids = (text: string): number[] => tokenizer.encode(text);
const word = (text: string): number[] => tokenizer.encode(text, { special: false });
let engine: Engine;
let request: PatchRequest;

beforeAll(async () => {
  const { spec, source } = loadModelFolder(folder);
  engine = await referenceEngine.open(spec, source);
  request = { clean: ids('One day he'), corrupted: ids('One day she'), wanted: word('his').slice(0, 1), unwanted: word('her').slice(0, 1) };
  expect(request.clean.length).toBe(request.corrupted.length);
});
afterAll(() => engine.dispose());

const difference = async (prompt: readonly number[]): Promise<number> => {
  const texts = [request.wanted, request.unwanted].map((answer) => ({ ids: [...prompt, ...answer], promptLength: prompt.length }));
  const { sequences } = await engine.score({ sequences: texts, positions: 'answer' });
  return sequences[0].logprobs[0] - sequences[1].logprobs[0];
};

describe('activation patching', () => {
  it('measures every head between the corrupted and the clean difference', async () => {
    const streamed: PatchedPlace[] = [];
    const result = await patchPlaces(request, { engine, onPlaces: (places) => streamed.push(...places) });
    const { layers, heads } = engine.model;
    expect(result.patched).toHaveLength(layers * heads);
    expect(streamed).toEqual(result.patched);
    expect(result.clean).toBeCloseTo(await difference(request.clean), 5);
    expect(result.corrupted).toBeCloseTo(await difference(request.corrupted), 5);
    expect(result.positions[0]).toBe(request.clean.findIndex((id, at) => id !== request.corrupted[at]));
    const best = result.places[0];
    const same = result.patched.find(({ layer, head }) => layer === best.layer && head === best.head);
    expect(((same?.difference ?? NaN) - result.corrupted) / (result.clean - result.corrupted)).toBeCloseTo(best.score, 9);
  });

  it('of the last layer’s whole stream at the last position gives the clean model back', async () => {
    const last = engine.model.layers - 1;
    const { places } = await patchPlaces({ ...request, point: 'resid_post', positions: 'last' }, { engine });
    expect(places.find(({ layer }) => layer === last)?.score).toBeCloseTo(1, 4);
  });

  it('resumes and leaves out what is stored', async () => {
    const store = memoryUnits();
    const first = await patchPlaces(request, { engine, store });
    const spy = vi.spyOn(engine, 'score');
    expect(await patchPlaces(request, { engine, store })).toEqual(first);
    expect(spy).not.toHaveBeenCalled();
    spy.mockRestore();
  });

  it('refuses prompts that cannot be laid side by side, and says their tokens', async () => {
    const longer = { ...request, clean: ids('One day he was') };
    const piece = (id: number): string => tokenizer.piece(id);
    await expect(patchPlaces(longer, { engine, piece })).rejects.toMatchObject({
      code: 'eval/prompt-lengths',
      message: expect.stringContaining('" was"') as string,
    });
    await expect(patchPlaces({ ...request, clean: request.corrupted }, { engine })).rejects.toMatchObject({ code: 'eval/setting' });
    await expect(patchPlaces({ ...request, positions: [99] }, { engine })).rejects.toMatchObject({ code: 'eval/setting' });
    await expect(patchPlaces({ ...request, positions: [0] }, { engine })).rejects.toMatchObject({ code: 'eval/setting' });
    await expect(patchPlaces({ ...request, wanted: [] }, { engine })).rejects.toMatchObject({ code: 'eval/setting' });
  });
});
