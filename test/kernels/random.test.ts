import { expect, it } from 'vitest';
import { gumbel, hash } from '../../src/engine/random.ts';
import { testDevices } from '../devices.ts';
import { describeKernels } from './bench.ts';

const kernel = `
@group(0) @binding(0) var<storage, read> inputs: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> outputs: array<vec2<u32>>;
//#include random
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < arrayLength(&inputs)) {
    let item = inputs[id.x];
    let bits = hash_token(hash_position(item.x, item.y), item.z);
    outputs[id.x] = vec2<u32>(bits, bitcast<u32>(gumbel(item.w)));
  }
}`;

describeKernels(
  'the random stream',
  await testDevices(),
  (bench) => {
    it('is the reference bit for bit, and its noise to rounding, extremes included', async () => {
      const edges = [0, 1, 511, 512, 0x7fffffff, 0x80000000, 0xfffffdff, 0xfffffe00, 0xffffffff, 0x5e2d58d8, 0xa1d2a728];
      const bits = [
        ...edges,
        ...Array.from({ length: 2000 }, (_, i) => hash(1, 2, i)),
        ...Array.from({ length: 200 }, (_, i) => (0xffffffff - i * 512) >>> 0),
      ];
      const items = bits.map((value, i) => [hash(3, i, 0), hash(4, i, 0), hash(5, i, 0), value]);
      const outputs = bench().empty(items.length * 8);
      await bench().dispatch(
        { shader: 'stream' },
        [bench().storage(new Uint32Array(items.flat())), outputs],
        [Math.ceil(items.length / 64), 1, 1],
      );
      const bytes = await bench().read(outputs);
      const words = new Uint32Array(bytes);
      const noises = new Float32Array(bytes);
      items.forEach(([seed, position, token, value], i) => {
        expect(words[2 * i]).toBe(hash(seed, position, token));
        const expected = gumbel(value);
        expect(Math.abs(noises[2 * i + 1] - expected), `bits ${value}`).toBeLessThan(2e-6 * (1 + Math.abs(expected)));
      });
    });
  },
  { stream: kernel },
);
