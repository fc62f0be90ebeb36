import type { Dispatch } from './dispatch.ts';
import type { Params } from './params.ts';

/** Rows of 32-bit words in a buffer: row r, column c at first + r * stride + c. */
export interface WordRows {
  readonly buffer: GPUBuffer;
  readonly stride: number;
  /** Where the columns meant start. */
  readonly first: number;
}

/**
 * Columns of rows moved from one buffer to another.
 * @param pairs u32x2: row of `from`, row of `to`
 */
export function copyRows(params: Params, from: WordRows, to: WordRows, width: number, pairs: GPUBuffer, count: number): Dispatch {
  return {
    variant: { shader: 'copy_rows' },
    bindings: [
      params.get([from.stride, from.first, width, to.stride, to.first, 0, 0, 0]),
      { buffer: from.buffer },
      { buffer: pairs },
      { buffer: to.buffer },
    ],
    workgroups: [Math.ceil(width / 64), count, 1],
    cost: count * width,
  };
}
