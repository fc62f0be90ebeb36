import { describe, expect, it } from 'vitest';
import { goldenModel } from '../../test/weights/golden-weights.ts';
import { driftNote, measureDrift } from './drift.ts';
import { dequantizeRows, quantizeRows } from './quantize.ts';
import type { TensorInfo, WeightSource } from './weights.ts';
import { tensorLayout } from './layout.ts';

const golden = goldenModel('llama_gqa_tied');

/** The golden's weights in f32, changed by a rule. */
function sourceOf(change: (name: string, values: Float32Array, shape: readonly number[]) => Float32Array): WeightSource {
  const layout = tensorLayout(golden.spec);
  return {
    tensors: new Map(layout.map(({ name, shape }): [string, TensorInfo] => [name, { name, shape, dtype: 'F32' }])),
    identity: 'test',
    read(name, start, end) {
      const shape = layout.find((one) => one.name === name)?.shape ?? [];
      return Promise.resolve(new Uint8Array(change(name, golden.weights(name), shape).slice().buffer).subarray(start, end));
    },
  };
}

describe('drift', () => {
  it('is nothing where weights already are what they are kept as', async () => {
    const source = sourceOf((_, values, [rows, cols]) =>
      cols === undefined ? values : dequantizeRows(quantizeRows(values, rows, cols, 'q8'), rows, cols, 'q8'),
    );
    const drift = await measureDrift(golden.spec, source, 'q8');
    expect(drift).toEqual({ kind: 'q8', overall: 0, worst: null, rows: 16 });
    expect(driftNote(drift, ['Q8_0'])).toContain('without a change');
  });

  it('is what a plain sum says, and names the worst matrix', async () => {
    const bad = 'model.layers.1.mlp.up_proj.weight';
    // One large weight a group takes the integers from the others.
    const source = sourceOf((name, values) => (name === bad ? values.map((value, i) => (i % 32 === 0 ? 1 : value / 50)) : values));
    const all = await measureDrift(golden.spec, source, 'q4', { rows: 1000 });
    expect(all.overall).toBeGreaterThan(0.01);
    expect(all.worst?.name).not.toBeUndefined();
    const [values, [rows, cols]] = [golden.weights('model.layers.0.self_attn.q_proj.weight'), [64, 64]];
    const kept = dequantizeRows(quantizeRows(values, rows, cols, 'q4'), rows, cols, 'q4');
    const sum = (list: Float32Array): number => list.reduce((total, value) => total + value * value, 0);
    const expected = Math.sqrt(sum(kept.map((value, i) => value - values[i])) / sum(values));
    expect(all.worst!.drift).toBeGreaterThanOrEqual(expected * 0.99);
    expect(driftNote(all, ['Q6_K'])).toContain(all.worst!.name);
  });
});
