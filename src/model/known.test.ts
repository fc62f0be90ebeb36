import { describe, expect, it } from 'vitest';
import { knownModel, knownModels, knownShape } from './known.ts';
import { memoryNeeded } from './memory.ts';

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
      for (const { repository, format, unsupported } of model.sources) {
        if (format === 'safetensors') expect(repository).toMatch(/^[\w.-]+\/[\w.-]+$/);
        expect(unsupported === null).toBe(format === 'safetensors');
      }
    }
  });

  it('fit into 2 GB in int4 where they have a billion parameters', () => {
    for (const id of ['llama-3.2-1b', 'gemma-3-1b', 'tinyllama-1.1b']) {
      const { spec } = knownShape(knownModel(id)!);
      const need = memoryNeeded(spec, { quantization: 'q4', context: 2048, lanes: 2 });
      expect(need.total).toBeLessThan(2e9);
      expect(need.total).toBe(need.weights + need.cache + need.scratch);
      expect(memoryNeeded(spec, { quantization: 'q8', context: 2048, lanes: 2 }).weights).toBeGreaterThan(need.weights);
      expect(memoryNeeded(spec, { quantization: 'none', context: 2048, lanes: 2 }).weights).toBeGreaterThanOrEqual(2 * published[id]);
    }
  });
});
