import { describe, expect, it } from 'vitest';
import { f16ToF32 } from '../formats/float16.ts';
import { rowSource, type RowTensor } from './row-tensors.ts';
import type { TensorDtype } from './weights.ts';

/** [rows, cols] of 0, 1, 2, ... that keeps an account of what was decoded. */
function counting(rows: number, cols: number, dtype: TensorDtype, scale = 1): RowTensor & { readonly log: [number, number][] } {
  const log: [number, number][] = [];
  return {
    log,
    info: { name: 'w', shape: [rows, cols], dtype },
    rows(first, count) {
      log.push([first, count]);
      return Promise.resolve(Float32Array.from({ length: count * cols }, (_, i) => (first * cols + i) * scale));
    },
  };
}

const sourceOf = (tensor: RowTensor): ReturnType<typeof rowSource> => rowSource(new Map([['w', tensor]]), 'id', 'file');

describe('decoded tensors', () => {
  it('decode the rows that a range touches, and no others', async () => {
    const tensor = counting(10, 3, 'F32');
    const bytes = await sourceOf(tensor).read('w', 4 * 4, 4 * 8);
    expect([...new Float32Array(bytes.slice().buffer)]).toEqual([4, 5, 6, 7]);
    expect(tensor.log).toEqual([[1, 2]]);
    expect(await sourceOf(tensor).read('w', 12, 12)).toHaveLength(0);
  });

  it('come in half precision where they are offered so', async () => {
    const bytes = await sourceOf(counting(4, 5, 'F16')).read('w', 2, 12);
    expect([...f16ToF32(new Uint16Array(bytes.slice().buffer))]).toEqual([1, 2, 3, 4, 5]);
  });

  it('refuse what half precision cannot hold', async () => {
    const source = sourceOf(counting(4, 5, 'F16', 1e5));
    await expect(source.read('w', 0, 4)).rejects.toEqual(expect.objectContaining({ code: 'model/file' }));
  });

  it('refuse ranges outside of the tensor', async () => {
    for (const [start, end] of [
      [0, 61],
      [-1, 4],
      [8, 4],
    ])
      await expect(sourceOf(counting(5, 3, 'F32')).read('w', start, end)).rejects.toEqual(expect.objectContaining({ code: 'internal' }));
  });
});
