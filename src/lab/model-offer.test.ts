import { describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { knownModels } from '../model/known.ts';
import type { ServedModel } from '../store/served-models.ts';
import { offerModel, offerServed, toldMemory, type Surroundings } from './model-offer.ts';

const known = (id: string) => {
  const model = knownModels.find((row) => row.id === id);
  if (!model) throw new Error(id);
  return model;
};
const noGpu = { adapter: null, maxBuffer: null, problem: new TillerError('device/no-api').toJSON() };

const bare: Surroundings = { device: null, memory: null, token: false, served: [] };
const served: ServedModel = {
  name: 'minimind2-small',
  title: 'MiniMind2 Small',
  licence: 'Apache-2.0',
  weights: 'onnx/model_quantized.onnx',
  files: [
    { path: 'config.json', bytes: 7, sha256: null },
    { path: 'onnx/model_quantized.onnx', bytes: 100, sha256: null },
  ],
};

describe('offers of known models', () => {
  it('give a reason wherever a model cannot be loaded, and an open place wherever it can', () => {
    for (const model of knownModels) {
      const offer = offerModel(model, 'best', bare);
      expect(offer.memoryBytes).toBeGreaterThan(0);
      expect(offer.reason === null).toBe(offer.place !== null);
      if (offer.place?.kind === 'hub') expect(model.sources.find(({ repository }) => repository === offer.from)?.gated).toBe(false);
    }
    expect(offerModel(known('minimind2-small'), 'best', bare).reason).toContain('npm run model -- minimind2-small');
  });

  it('take what lies next to the page before the hub, and the original where there is a token', () => {
    const here = offerModel(known('minimind2-small'), 'best', { ...bare, served: [served] });
    expect(here).toMatchObject({
      place: { kind: 'served', name: 'minimind2-small' },
      downloadBytes: 107,
      quantization: 'suggested',
      reason: null,
    });
    expect(offerModel(known('llama-3.2-1b'), 'best', bare).from).toBe('unsloth/Llama-3.2-1B-Instruct');
    expect(offerModel(known('llama-3.2-1b'), 'best', { ...bare, token: true }).from).toBe('meta-llama/Llama-3.2-1B-Instruct');
  });

  it('are joined by what else lies next to the page, with what its list says', () => {
    const other = { ...served, name: 'mine', title: 'mine', licence: null };
    expect(offerServed([served, other, { ...other, name: 'plain', weights: null, licence: 'MIT' }], 'best')).toMatchObject([
      {
        title: 'mine',
        about: 'ONNX weights in models/mine.',
        licence: 'not stated',
        place: { kind: 'served', name: 'mine' },
        downloadBytes: 107,
        memoryBytes: null,
        reason: null,
      },
      { about: 'Safetensors weights in models/plain.', licence: 'MIT' },
    ]);
  });

  it('always offer the embedded model', () => {
    expect(offerModel(known('stories15M'), 'none', { ...bare, device: noGpu, memory: 1 }).reason).toBeNull();
  });

  it('say when there is too little memory, of the machine or of WebAssembly', () => {
    expect(offerModel(known('llama-3.2-1b'), 'q4', { ...bare, device: noGpu }).reason).toBeNull();
    expect(offerModel(known('llama-3.2-1b'), 'none', { ...bare, device: noGpu }).reason).toContain('of WebAssembly memory');
    expect(offerModel(known('llama-3.2-1b'), 'none', { ...bare, device: noGpu, engine: 'webgpu' }).reason).toBeNull();
    expect(offerModel(known('llama-3.2-1b'), 'none', { ...bare, memory: 2 ** 30 }).reason).toContain('of memory');
  });

  it('need less memory with fewer bits', () => {
    const need = (quantization: 'none' | 'q8' | 'q4') => offerModel(known('llama-3.2-1b'), quantization, bare).memoryBytes;
    expect(need('q4')).toBeLessThan(need('q8'));
    expect(need('q8')).toBeLessThan(need('none'));
  });

  it('take a memory of 8 GiB for unknown, because browsers tell no more', () => {
    expect(toldMemory(8)).toBeNull();
    expect(toldMemory(undefined)).toBeNull();
    expect(toldMemory(4)).toBe(2 ** 32);
  });
});
