import { expect, it } from 'vitest';
import { KvCache } from '../../src/engine/webgpu/cache.ts';
import { Memory } from '../../src/engine/webgpu/memory.ts';
import { Params } from '../../src/engine/webgpu/params.ts';
import { copyRows } from '../../src/engine/webgpu/row-copy.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { testDevices } from '../devices.ts';
import { describeKernels } from './bench.ts';

describeKernels('copies of rows', await testDevices(), (bench) => {
  it.each([1, 7, 64, 65, 300])('move columns of chosen rows bit by bit, width %i', async (width) => {
    const [rows, stride, outStride, column, outColumn] = [5, width + 11, width + 6, 3, 5];
    // Words that no float keeps: NaNs with payloads, numbers below the normal range.
    const x = Uint32Array.from({ length: rows * stride }, (_, i) => (i % 3 === 0 ? 0x7fc00000 + i : i));
    const pairs = [4, 0, 1, 2, 4, 1];
    const out = bench().storage(new Uint32Array(4 * outStride).fill(9));
    const from = { buffer: bench().storage(x), stride, first: column };
    const params = new Params(new Memory(bench().device));
    await bench().run([
      copyRows(params, from, { buffer: out, stride: outStride, first: outColumn }, width, bench().storage(new Uint32Array(pairs)), 3),
    ]);
    const want = new Uint32Array(4 * outStride).fill(9);
    for (let i = 0; i < pairs.length; i += 2) {
      const start = pairs[i] * stride + column;
      want.set(x.subarray(start, start + width), pairs[i + 1] * outStride + outColumn);
    }
    expect([...(await bench().readU32(out))]).toEqual([...want]);
  });
});

describeKernels('copies of cache slots', await testDevices(), (bench) => {
  const spec = { layers: 2, kvHeads: 3, headDim: 10 } as ModelSpec;

  it.each(['f32', 'f16'] as const)('move the first positions of slots, all in one dispatch a buffer, %s', async (format) => {
    const memory = new Memory(bench().device);
    const cache = new KvCache(memory, spec, format, () => undefined);
    cache.ensure(5, 64);
    const words = (cache.bytes / (2 * spec.layers) / 4) | 0;
    const perSlot = words / 5;
    const content = (seed: number): Uint32Array<ArrayBuffer> =>
      Uint32Array.from({ length: words }, (_, i) => 0x3c003c00 + seed * 7 + (i % 251));
    const buffers = [0, 1].flatMap((layer) => [cache.layer(layer).keys, cache.layer(layer).values]);
    buffers.forEach((buffer, b) => bench().device.queue.writeBuffer(buffer, 0, content(b)));
    const copies = [
      { from: 0, to: 3, positions: 64 },
      { from: 0, to: 1, positions: 17 },
      { from: 2, to: 4, positions: 1 },
    ];
    const dispatches = cache.copy(new Params(memory), copies);
    expect(dispatches.length).toBe(4);
    await bench().run(dispatches);
    for (const [b, buffer] of buffers.entries()) {
      const want = content(b);
      const before = content(b);
      for (const { from, to, positions } of copies) {
        want.set(before.subarray(from * perSlot, from * perSlot + (positions * perSlot) / 64), to * perSlot);
      }
      expect(await bench().readU32(buffer)).toEqual(want);
    }
    expect(cache.copy(new Params(memory), [])).toEqual([]);
    memory.freeAll();
  });

  it('grow to the larger of both measures while that is small, else to what is asked', () => {
    const memory = new Memory(bench().device);
    const cache = new KvCache(memory, { ...spec, layers: 8, kvHeads: 8, headDim: 64 }, 'f32', () => undefined);
    cache.ensure(2, 1000);
    expect([cache.slots, cache.capacity]).toEqual([2, 1024]);
    cache.ensure(4, 100);
    expect([cache.slots, cache.capacity]).toEqual([4, 1024]);
    cache.ensure(64, 100);
    expect([cache.slots, cache.capacity]).toEqual([64, 128]);
    expect(cache.bytes).toBe(cache.bytesOf(64, 100));
    const within = cache.slotsWithin(cache.bytes, 128);
    expect(within).toBe(64);
    memory.freeAll();
  });
});
