import { describe, expect, it } from 'vitest';
import { parseConfig } from './config.ts';
import { tensorLayout } from './layout.ts';
import type { TensorInfo, WeightSource } from './weights.ts';
import { addWeightedRows, wordDirections } from './word-direction.ts';
import { seededUniform } from '../lab/direction-maths.ts';

const spec = parseConfig({
  model_type: 'llama', hidden_size: 12, intermediate_size: 16, num_hidden_layers: 2, num_attention_heads: 3, num_key_value_heads: 1,
  head_dim: 6, vocab_size: 10, max_position_embeddings: 32, rms_norm_eps: 1e-5, tie_word_embeddings: false,
}); // prettier-ignore

/** Weights in memory, f32 but for the head, which is bf16. */
function weights(): { source: WeightSource; values: Map<string, Float32Array> } {
  const next = seededUniform(3);
  const values = new Map<string, Float32Array>();
  const tensors = new Map<string, TensorInfo>();
  for (const { name, shape, role } of tensorLayout(spec)) {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next() - 0.5);
    if (role === 'head') {
      const bits = new Uint32Array(data.buffer);
      bits.forEach((word, i) => (bits[i] = word & 0xffff0000));
    }
    values.set(name, data);
    tensors.set(name, { name, shape, dtype: role === 'head' ? 'BF16' : 'F32' });
  }
  const read = (name: string, start: number, end: number): Promise<Uint8Array> => {
    const data = values.get(name) as Float32Array;
    const words = new Uint32Array(data.buffer);
    const bytes =
      tensors.get(name)?.dtype === 'BF16'
        ? new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer)
        : new Uint8Array(data.buffer);
    return Promise.resolve(bytes.subarray(start, end));
  };
  return { source: { tensors, identity: 'memory', read }, values };
}

describe('directions towards a word', () => {
  it('are the transpose of o_proj times the unembedding and the norm’s gain, by plain sums', async () => {
    const { source, values } = weights();
    const name = (role: string, layer: number): string =>
      tensorLayout(spec).find((row) => row.role === role && row.layer === layer)?.name ?? '';
    const gain = values.get(name('final_norm', -1)) as Float32Array;
    const head = values.get(name('head', -1)) as Float32Array;
    const ids = [4, 7];
    const directions = await wordDirections(spec, source, ids, new AbortController().signal);
    const width = spec.heads * spec.headDim;
    expect(directions).toHaveLength(spec.layers * width);
    for (let layer = 0; layer < spec.layers; layer += 1) {
      const o = values.get(name('o', layer)) as Float32Array;
      for (let column = 0; column < width; column += 1) {
        let expected = 0;
        for (let row = 0; row < spec.hidden; row += 1) {
          const u = ((head[ids[0] * spec.hidden + row] + head[ids[1] * spec.hidden + row]) / 2) * gain[row];
          expected += o[row * width + column] * u;
        }
        expect(directions[layer * width + column]).toBeCloseTo(expected, 5);
      }
    }
  });

  it('adds blocks of W^T u to the same sum as the whole', () => {
    const w = Float32Array.from({ length: 12 }, (_, i) => i);
    const u = [1, -2, 0, 3];
    const whole = new Float64Array(3);
    addWeightedRows(whole, w, u);
    const parts = new Float64Array(3);
    addWeightedRows(parts, w.subarray(0, 6), u.slice(0, 2));
    addWeightedRows(parts, w.subarray(6), u.slice(2));
    expect([...parts]).toEqual([...whole]);
    expect([...whole]).toEqual([0 - 6 + 27, 1 - 8 + 30, 2 - 10 + 33]);
  });
});
