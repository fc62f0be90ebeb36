import { beforeAll, describe, expect, it } from 'vitest';
import { nodeOnnxRuntime } from '../../../runner/onnx-host.ts';
import { dequantizeRows, quantizeRows } from '../../model/quantize.ts';
import { matmul } from '../reference/ops/matmul.ts';
import { product, type AccuracyLevel, type Matrix } from './matrix.ts';
import { ModelGraph } from './model-proto.ts';
import { Piece, type OnnxRuntime } from './runtime.ts';

const wave = (length: number, step: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(1 + i * step));

let runtime: OnnxRuntime;
beforeAll(async () => {
  runtime = await nodeOnnxRuntime();
});

async function run(matrix: Matrix, x: Float32Array, level: AccuracyLevel): Promise<Float32Array> {
  const { inputs, outputs } = matrix;
  const rows = x.length / inputs;
  const graph = new ModelGraph();
  graph.input('x', ['rows', inputs]);
  product(graph, 'm', matrix, 'x', 'y', level);
  graph.output('y', ['rows', outputs]);
  const piece = await Piece.create(runtime, graph.finish(), 1);
  const y = new Float32Array(rows * outputs);
  await piece.run({ x: new runtime.Tensor('float32', x, [rows, inputs]) }, { y: new runtime.Tensor('float32', y, [rows, outputs]) });
  await piece.release();
  return y;
}

/** Largest difference, as a part of the largest value. */
function difference(got: Float32Array, want: Float32Array): number {
  const size = want.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  return got.reduce((worst, value, i) => Math.max(worst, Math.abs(value - want[i])), 0) / size;
}

const shapes = [
  { inputs: 32, outputs: 1 },
  { inputs: 64, outputs: 96 },
  { inputs: 44, outputs: 37 },
  { inputs: 331, outputs: 7 },
] as const;

describe.each(shapes)('products of $inputs inputs and $outputs outputs', ({ inputs, outputs }) => {
  const values = wave(inputs * outputs, 0.7);
  const bias = wave(outputs, 3.1);

  describe.each([1, 2, 5, 17])('%i rows', (rows) => {
    const x = wave(rows * inputs, 0.3);
    const plain = (weight: Float32Array): Float32Array => {
      const out = new Float32Array(rows * outputs);
      matmul(x, rows, weight, bias, inputs, outputs, out);
      return out;
    };

    it('f32', async () => {
      expect(difference(await run({ inputs, outputs, bias, weights: { kind: 'f32', values } }, x, 0), plain(values))).toBeLessThan(2e-6);
    });

    it.each(['q4', 'q8'] as const)('%s: exactly the quantised weights, and near them with int8 activations', async (kind) => {
      const quantized = quantizeRows(values, outputs, inputs, kind);
      const want = plain(dequantizeRows(quantized, outputs, inputs, kind));
      const matrix: Matrix = { inputs, outputs, bias, weights: { kind, quantized } };
      expect(difference(await run(matrix, x, 0), want)).toBeLessThan(2e-6);
      expect(difference(await run(matrix, x, 4), want)).toBeLessThan(0.03);
    });
  });
});
