import { describe, expect, it } from 'vitest';
import { expandsTo32, WASM_MEMORY, wasmNeeded } from './cpu-memory.ts';
import { knownModels, knownShape } from './known.ts';

const shapeOf = (id: string) => {
  const model = knownModels.find((row) => row.id === id);
  if (!model) throw new Error(id);
  return knownShape(model).spec;
};
const story = shapeOf('stories15M');
const llama = shapeOf('llama-3.2-1b');
const need = (spec: typeof story, quantization: 'none' | 'q8' | 'q4') => wasmNeeded(spec, { quantization, stored: 'BF16', context: 4096 });

describe('memory of the CPU engine in a page', () => {
  it('counts every weight once, and the largest piece a second time', () => {
    const { weights, packing, working, total } = need(story, 'none');
    const layer = 4 * 288 * 288 + 3 * 288 * 768 + 2 * 288;
    expect(weights).toBe(4 * (6 * layer + 288 + 32000 * 288));
    expect(packing).toBe(4 * 32000 * 288);
    expect(total).toBe(weights + packing + working);
  });

  it('expands the weights of small models only', () => {
    expect(expandsTo32(story, 'q4')).toBe(true);
    expect(expandsTo32(llama, 'q4')).toBe(false);
    expect(need(story, 'q4').weights).toBe(need(story, 'none').weights);
  });

  it('needs more with more bits, and says which of a model of 1.2 billion parameters fit', () => {
    expect(need(llama, 'q4').total).toBeLessThan(need(llama, 'q8').total);
    expect(need(llama, 'q8').total).toBeLessThan(WASM_MEMORY);
    expect(need(llama, 'none').total).toBeGreaterThan(WASM_MEMORY);
  });
});
