import { afterEach, describe, expect, it } from 'vitest';
import { nodeKernels } from '../../../../test/kernel-threads.ts';
import { quantizeRows } from '../../../model/quantize.ts';
import type { Matrix } from '../matrix.ts';
import { Products } from './products.ts';

const numbers = (length: number, factor: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(i * factor));

const matrix = (outputs: number, inputs: number, kind: 'q4' | 'q8', bias = false): Matrix => ({
  outputs,
  inputs,
  weights: { kind, quantized: quantizeRows(numbers(outputs * inputs, 0.37), outputs, inputs, kind) },
  bias: bias ? numbers(outputs, 0.11) : null,
});

const made: Products[] = [];
afterEach(() => made.splice(0).forEach((products) => products.release()));

const productsOf = (threads: number): Products => {
  const products = new Products(nodeKernels(threads), { inputs: 512, outputs: 4096 });
  made.push(products);
  return products;
};

describe('products on several threads', () => {
  it.each(['q4', 'q8'] as const)('are those of one thread, bit for bit, a thousand times: %s', async (kind) => {
    const matrices = [matrix(1030, 512, kind, true), matrix(777, 512, kind)];
    const results: Float32Array[][] = [];
    for (const threads of [1, 3]) {
      const products = productsOf(threads);
      const woven = products.add(matrices);
      await products.ready(() => 0);
      products.useThreads(threads);
      const x = numbers(5 * 512, 0.73);
      let outs: Float32Array[] = [];
      // Late threads meet jobs that are over and jobs that have just begun.
      for (let i = 0; i < (threads === 1 ? 1 : 1000); i++) {
        outs = matrices.map(({ outputs }) => new Float32Array(5 * outputs));
        products.multiply(
          woven,
          i % 2 === 0 ? 1 : 5,
          x,
          outs.map((out, at) => out.subarray(0, (i % 2 === 0 ? 1 : 5) * matrices[at].outputs)),
        );
        if (threads > 1) {
          const wanted = results[i % 2];
          const equal = outs.every((out, at) => out.every((value, j) => Object.is(value, wanted[at][j])));
          if (!equal) throw new Error(`product ${i} differs`);
        }
      }
      if (threads > 1) continue;
      const one = outs;
      const five = matrices.map(({ outputs }) => new Float32Array(5 * outputs));
      products.multiply(woven, 5, x, five);
      results.push(one, five);
    }
    expect(results).toHaveLength(2);
  });

  it('says with how many threads it was fastest', async () => {
    const products = productsOf(2);
    products.add([matrix(1024, 512, 'q4')]);
    expect(await products.ready(() => performance.now())).toMatch(/^[12] threads?, the fastest \(time by threads 1: .*, 2: /);
  });
});

it('goes on with the threads that start, and says how many do not', async () => {
  const host = nodeKernels(3);
  let calls = 0;
  const products = new Products(
    { ...host, start: (init) => (calls++ === 0 ? Promise.reject(new Error('no thread')) : host.start(init)) },
    { inputs: 512, outputs: 4096 },
  );
  made.push(products);
  products.add([matrix(1024, 512, 'q4')]);
  expect(await products.ready(() => 0)).toMatch(/time by threads 1: .*, 2: .*; 1 of 2 more threads did not start$/);
});

describe('what is woven', () => {
  it('is quantised alike', () => {
    const products = productsOf(1);
    expect(products.takes([matrix(8, 64, 'q4'), matrix(8, 64, 'q4')])).toBe(true);
    expect(products.takes([matrix(8, 64, 'q4'), matrix(8, 64, 'q8')])).toBe(false);
    expect(products.takes([{ outputs: 1, inputs: 1, weights: { kind: 'f32', values: new Float32Array(1) }, bias: null }])).toBe(false);
  });
});
