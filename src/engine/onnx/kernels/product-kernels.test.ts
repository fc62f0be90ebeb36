import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { f16Value } from '../../../formats/float16.ts';
import { groupsOf, quantizeRows } from '../../../model/quantize.ts';
import { activation, matrixBytes, SCALE_UP, STRAND, strandsOf, weave, type KernelKind } from './layout.ts';
import { productModule, ROWS, type ProductExports } from './product-kernels.ts';
import { nodeKernels } from '../../../../test/kernel-threads.ts';

// Turns relaxed SIMD on where it waits for a flag.
nodeKernels(1);

const instances = [false, true].map((relaxed) => {
  const memory = new WebAssembly.Memory({ initial: 64 });
  const module = new WebAssembly.Module(productModule(relaxed, 64, null));
  return { memory, kernels: new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as ProductExports };
});
const instance = (relaxed: boolean): { memory: WebAssembly.Memory; kernels: ProductExports } => instances[Number(relaxed)];

/** A block of activations in plain code. */
function rounded(x: Float32Array): { integers: number[]; scale: number } {
  const most = x.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const inverse = most > 0 ? Math.fround(127 / most) : 0;
  const even = (v: number): number => (Math.abs(v % 1) === 0.5 ? 2 * Math.round(v / 2) : Math.round(v));
  return { integers: [...x].map((v) => even(Math.fround(v * inverse))), scale: Math.fround(most * Math.fround(1 / 127)) };
}

/** The product in plain code: integers within a block, f64 over blocks. */
function plainProduct(x: Float32Array, values: Float32Array, outputs: number, inputs: number, kind: KernelKind): number[] {
  const { data, scales } = quantizeRows(values, outputs, inputs, kind);
  const groups = groupsOf(inputs);
  const weight = (row: number, i: number): number => {
    const at = row * groups * 32 + i;
    return kind === 'q8' ? (data[at] << 24) >> 24 : ((data[at >> 1] >> (4 * (at & 1))) & 15) - 8;
  };
  return Array.from({ length: outputs }, (_, row) => {
    let y = 0;
    for (let group = 0; group < groups; group++) {
      const block = new Float32Array(32);
      block.set(x.subarray(32 * group, Math.min(inputs, 32 * group + 32)));
      const { integers, scale } = rounded(block);
      const sum = integers.reduce((all, value, i) => all + value * weight(row, 32 * group + i), 0);
      y += sum * scale * f16Value(scales[row * groups + group]);
    }
    return y;
  });
}

const numbers = (length: number, seed: number): Float32Array => {
  let state = seed * 2654435761 + 1;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
};

function woven(
  x: readonly Float32Array[],
  values: Float32Array,
  outputs: number,
  inputs: number,
  kind: KernelKind,
  relaxed: boolean,
): number[][] {
  const { memory, kernels } = instance(relaxed);
  const groups = groupsOf(inputs);
  const rows = x.length;
  const [input, activations] = [1024, 1024 + 128 * groups];
  const weights = activations + rows * groups * activation.bytes;
  weave(quantizeRows(values, outputs, inputs, kind), outputs, inputs, kind, new Uint8Array(memory.buffer, weights));
  const output = Math.ceil((weights + matrixBytes(outputs, inputs, kind)) / 16) * 16;
  x.forEach((row, at) => {
    const padded = new Float32Array(memory.buffer, input, 32 * groups).fill(0);
    padded.set(row);
    kernels.quantize(input, activations + at * activation.bytes, groups, rows * activation.bytes);
  });
  const width = STRAND * strandsOf(outputs);
  if (rows === 1) kernels[`${kind}x1`](weights, activations, output, strandsOf(outputs), groups);
  else kernels[`${kind}xN`](weights, activations, output, strandsOf(outputs), groups, 4 * width);
  return x.map((_, at) => [...new Float32Array(memory.buffer, output + 4 * width * at, outputs)]);
}

const variants = [true, false] as const;

describe.each(variants)('quantised products, relaxed SIMD %s', (relaxed) => {
  it('equal the plain loops for any shape', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 13 }),
        fc.integer({ min: 1, max: 100 }),
        fc.constantFrom<KernelKind>('q4', 'q8'),
        fc.constantFrom(1, ROWS),
        fc.nat(1000),
        (outputs, inputs, kind, rows, seed) => {
          const values = numbers(outputs * inputs, seed);
          const x = Array.from({ length: rows }, (_, row) => numbers(inputs, seed + 7 * row + 1));
          const got = woven(x, values, outputs, inputs, kind, relaxed);
          x.forEach((row, at) => {
            const wanted = plainProduct(row, values, outputs, inputs, kind);
            wanted.forEach((value, i) => expect(Math.abs(got[at][i] - value)).toBeLessThan(1e-5 * (1 + Math.abs(value))));
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are right at the ends of the integers', () => {
    const [outputs, inputs] = [4, 64];
    for (const kind of ['q4', 'q8'] as const) {
      for (const [sign, flip] of [
        [1, 1],
        [1, -1],
        [-1, 1],
      ]) {
        // Every weight and every activation at its largest: sums of a block reach what an i16 holds.
        const values = new Float32Array(outputs * inputs).fill(sign);
        const x = new Float32Array(inputs).fill(3 * flip);
        const wanted = plainProduct(x, values, outputs, inputs, kind);
        woven([x], values, outputs, inputs, kind, relaxed)[0].forEach((value, i) => expect(value).toBeCloseTo(wanted[i], 3));
      }
    }
  });
});

it('rounds a block as the plain loop does, zeros and huge numbers too', () => {
  const { memory, kernels } = instance(false);
  for (const factor of [0, 1e-30, 1, 3e4, 1e8]) {
    const x = numbers(32, 5).map((value) => value * factor);
    new Float32Array(memory.buffer, 1024, 32).set(x);
    kernels.quantize(1024, 4096, 1, activation.bytes);
    const { integers, scale } = rounded(x);
    expect([...new Int8Array(memory.buffer, 4096, 32)]).toEqual(integers.map((value) => value || 0));
    const view = new DataView(memory.buffer, 4096);
    expect(view.getFloat32(activation.scale, true)).toBeCloseTo(Math.fround(scale * SCALE_UP), 0);
    expect(view.getInt32(activation.correction, true) === -8 * integers.reduce((a, b) => a + b, 0)).toBe(true);
  }
});
