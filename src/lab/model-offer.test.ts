import { describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { knownModels } from '../model/known.ts';
import { offerModel, toldMemory } from './model-offer.ts';

const known = (id: string) => {
  const model = knownModels.find((row) => row.id === id);
  if (!model) throw new Error(id);
  return model;
};
const noGpu = { adapter: null, maxBuffer: null, problem: new TillerError('device/no-api').toJSON() };

describe('offers of known models', () => {
  it('give a reason wherever a model cannot be loaded, and an open repository wherever it can', () => {
    for (const model of knownModels) {
      const offer = offerModel(model, model.quantization, null, null);
      expect(offer.memoryBytes).toBeGreaterThan(0);
      if (!model.embedded && offer.reason === null) expect(offer.repository).toMatch(/^[^/]+\/[^/]+$/);
    }
    expect(offerModel(known('minimind2-small'), 'none', null, null).reason).toContain('ONNX reader');
  });

  it('always offer the embedded model', () => {
    expect(offerModel(known('stories15M'), 'none', noGpu, 1).reason).toBeNull();
  });

  it('say when there is too little memory, of the machine or of WebAssembly', () => {
    expect(offerModel(known('llama-3.2-1b'), 'q4', noGpu, null).reason).toBeNull();
    expect(offerModel(known('llama-3.2-1b'), 'none', noGpu, null).reason).toContain('of WebAssembly memory');
    expect(offerModel(known('llama-3.2-1b'), 'none', noGpu, null, 'webgpu').reason).toBeNull();
    expect(offerModel(known('llama-3.2-1b'), 'none', null, 2 ** 30).reason).toContain('of memory');
  });

  it('need less memory with fewer bits', () => {
    const need = (quantization: 'none' | 'q8' | 'q4') => offerModel(known('llama-3.2-1b'), quantization, null, null).memoryBytes;
    expect(need('q4')).toBeLessThan(need('q8'));
    expect(need('q8')).toBeLessThan(need('none'));
  });

  it('take a memory of 8 GiB for unknown, because browsers tell no more', () => {
    expect(toldMemory(8)).toBeNull();
    expect(toldMemory(undefined)).toBeNull();
    expect(toldMemory(4)).toBe(2 ** 32);
  });
});
