import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { planMemory, type PlanEngine, type PlanOptions } from './memory-plan.ts';
import { fittingText, longestContext, refuseTooLarge, shortages, whatFits } from './memory-room.ts';
import { publishedShape, publishedShapes } from './published.ts';

/** Parameters as the publishers count them; of Gemma 3 4B the text part. */
const published: Readonly<Record<string, number>> = {
  'llama-2-7b': 6738415616,
  'llama-2-13b': 13015864320,
  'llama-2-70b': 68976648192,
  'llama-3-8b': 8030261248,
  'llama-3-70b': 70553706496,
  'mistral-7b': 7241732096,
  'gemma-3-4b': 3880263168,
};

const shape = (id: string) => {
  const found = publishedShape(id);
  if (!found) throw new Error(id);
  return found;
};
const gpu: PlanOptions = { engine: 'webgpu', quantization: 'q4', context: 4096, lanes: 2, stored: 'BF16' };
const GIB = 2 ** 30;

describe('published shapes', () => {
  it('have the published number of parameters', () => {
    const counted = Object.fromEntries(publishedShapes.map(({ id }) => [id, planMemory(shape(id).spec, gpu).parameters]));
    expect(counted).toEqual(published);
  });

  it('are found by id and repository, known models too', () => {
    expect(publishedShape('meta-llama/Meta-Llama-3-70B')?.id).toBe('llama-3-70b');
    expect(publishedShape('tinyllama-1.1b')?.spec.layers).toBe(22);
    expect(publishedShape('nothing')).toBeNull();
  });
});

describe('a plan', () => {
  it('counts keys and values as every engine keeps them', () => {
    // 80 layers, 8 heads of 128, keys and values, half precision: 320 KiB a token.
    expect(planMemory(shape('llama-3-70b').spec, gpu).cachePerToken).toBe(320 * 1024);
    expect(planMemory(shape('llama-3-70b').spec, { ...gpu, engine: 'onnx' }).cachePerToken).toBe(640 * 1024);
    expect(planMemory(shape('llama-2-7b').spec, gpu).cachePerToken).toBe(512 * 1024);
  });

  it('says what sliding windows look at, and counts what the engines keep', () => {
    const { cachePerLane, cacheSeen, cachePerToken } = planMemory(shape('gemma-3-4b').spec, { ...gpu, context: 8192 });
    expect(cachePerLane).toBe(8192 * cachePerToken);
    // 5 of 34 layers see everything, 29 the last 1024 tokens.
    expect(cacheSeen).toBe(((5 * 8192 + 29 * 1024) * cachePerToken) / 34);
    const whole = planMemory(shape('llama-3-8b').spec, gpu);
    expect(whole.cacheSeen).toBe(whole.cachePerLane);
  });

  it('never needs less with more bits, tokens or lanes', () => {
    const numbers = fc.record({
      id: fc.constantFrom(...publishedShapes.map(({ id }) => id)),
      engine: fc.constantFrom<PlanEngine>('webgpu', 'onnx'),
      context: fc.integer({ min: 1, max: 140000 }),
      lanes: fc.integer({ min: 1, max: 64 }),
    });
    fc.assert(
      fc.property(numbers, ({ id, engine, context, lanes }) => {
        const { spec, stored } = shape(id);
        const plan = (more: Partial<PlanOptions>) => planMemory(spec, { engine, context, lanes, stored, quantization: 'q4', ...more });
        const least = plan({});
        expect(plan({ quantization: 'q8' }).weights).toBeGreaterThan(least.weights);
        expect(plan({ quantization: 'none' }).weights).toBeGreaterThan(plan({ quantization: 'q8' }).weights);
        expect(plan({ context: context + 1 }).cache).toBeGreaterThanOrEqual(least.cache);
        expect(plan({ lanes: lanes + 1 }).total).toBeGreaterThanOrEqual(least.total);
        expect(least.total).toBe(least.weights + least.cache + least.scratch);
        expect(least.peak).toBeGreaterThanOrEqual(least.total);
        for (const value of Object.values(least)) if (typeof value === 'number') expect(Number.isSafeInteger(value)).toBe(true);
      }),
    );
  });
});

describe('what fits', () => {
  const room = (memory: number | null, bufferLimit: number | null = null) => ({ name: 'the card', memory, bufferLimit });

  it('refuses with the numbers and says what would fit', () => {
    const { spec } = shape('llama-3-70b');
    const refuse = (quantization: 'q8' | 'q4', memory: number) => () =>
      refuseTooLarge('llama-3-70b', spec, { ...gpu, quantization }, room(memory));
    expect(refuse('q8', 48 * GIB)).toThrow(/72\.\d+ GiB \(weights 69\.\d+ GiB, cache 2\.50 GiB.*the card has 48\.00 GiB/);
    try {
      refuse('q8', 48 * GIB)();
    } catch (error) {
      expect((error as TillerError).code).toBe('model/too-large');
      expect((error as TillerError).fix).toContain('It would fit with q4 weights (40.');
    }
    expect(refuse('q4', 48 * GIB)).not.toThrow();
    expect(refuse('q4', 24 * GIB)).toThrow(TillerError);
  });

  it('names a shorter context or fewer lanes where that is enough', () => {
    const { spec } = shape('llama-2-7b');
    const options = { ...gpu, lanes: 8 };
    const fitting = whatFits(spec, options, room(8 * GIB));
    expect(fitting.map(({ changed }) => changed)).toEqual([['context'], ['lanes']]);
    for (const { plan } of fitting) expect(shortages(plan, room(8 * GIB))).toEqual([]);
    expect(fittingText(fitting[1])).toMatch(/^2 lanes \(7\./);
    expect(whatFits(spec, options, room(GIB))).toEqual([]);
  });

  it('knows the largest buffer, and finds the longest context that it allows', () => {
    const { spec } = shape('llama-2-7b');
    // One token of one layer's keys takes 8 KiB a lane in half precision.
    const long = { ...gpu, context: 4096, lanes: 8 };
    const small = room(null, 128 * 2 ** 20);
    expect(shortages(planMemory(spec, long), small).map(({ what }) => what)).toEqual(['buffer']);
    expect(longestContext(spec, long, small)).toBe(2048);
    expect(shortages(planMemory(spec, long), room(null))).toEqual([]);
  });
});
