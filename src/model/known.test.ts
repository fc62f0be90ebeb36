import { describe, expect, it } from 'vitest';
import { knownModel, knownModels, knownShape } from './known.ts';
import { planMemory } from './memory-plan.ts';

/** Parameters as the publishers count them. */
const published: Readonly<Record<string, number>> = {
  stories15M: 15191712,
  'llama-3.2-1b': 1235814400,
  'gemma-3-1b': 999885952,
  'smollm2-135m': 134515008,
  'smollm2-360m': 361821120,
  'qwen2.5-0.5b': 494032768,
  'tinyllama-1.1b': 1100048384,
  'minimind2-small': 25829888,
};

describe('known models', () => {
  it('have the published number of parameters', () => {
    expect(Object.fromEntries(knownModels.map((model) => [model.id, knownShape(model).parameters]))).toEqual(published);
  });

  it('can be found by id and by repository, and their repositories are ones', () => {
    expect(knownModel('Qwen/Qwen2.5-0.5B-Instruct')?.id).toBe('qwen2.5-0.5b');
    expect(knownModel('nothing')).toBeNull();
    for (const model of knownModels) {
      expect(knownModel(model.id)).toBe(model);
      for (const { repository, format, file } of model.sources) {
        expect(repository).toMatch(/^[\w.-]+\/[\w.-]+$/);
        expect(file === null || file.endsWith(format)).toBe(true);
      }
      expect(model.sources.length > 0 || model.built !== null).toBe(true);
    }
  });

  it('fit into 2 GB in int4 where they have a billion parameters', () => {
    for (const id of ['llama-3.2-1b', 'gemma-3-1b', 'tinyllama-1.1b']) {
      const { spec } = knownShape(knownModel(id)!);
      const plan = (quantization: 'none' | 'q8' | 'q4') =>
        planMemory(spec, { engine: 'webgpu', quantization, stored: 'BF16', context: 2048, lanes: 2 });
      expect(plan('q4').total).toBeLessThan(2e9);
      expect(plan('q4').total).toBe(plan('q4').weights + plan('q4').cache + plan('q4').scratch);
      expect(plan('q8').weights).toBeGreaterThan(plan('q4').weights);
      expect(plan('none').weights).toBeGreaterThanOrEqual(2 * published[id]);
    }
  });
});
