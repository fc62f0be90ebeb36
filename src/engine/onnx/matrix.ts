import { f16ToF32 } from '../../formats/float16.ts';
import { GROUP, groupsOf, type QuantizedRows } from '../../model/quantize.ts';
import { microsoft, type ModelGraph } from './model-proto.ts';

/** Weights of one product, [outputs, inputs] as in the files. */
export interface Matrix {
  readonly outputs: number;
  readonly inputs: number;
  readonly weights:
    { readonly kind: 'f32'; readonly values: Float32Array } | { readonly kind: 'q4' | 'q8'; readonly quantized: QuantizedRows };
  /** [outputs]. */
  readonly bias: Float32Array | null;
}

/** 0 computes with exactly the quantised weights in f32; 4 also rounds activations to int8 in blocks of 32, which is faster. */
export type AccuracyLevel = 0 | 4;

/**
 * Adds y = x * weights^T + bias to a graph: x is [rows, inputs], y [rows, outputs].
 * Quantised weights are given to MatMulNBits as they are, so the numbers they stand for are those of every other engine.
 */
export function product(graph: ModelGraph, name: string, matrix: Matrix, x: string, y: string, level: AccuracyLevel): string {
  const { weights, inputs, outputs, bias } = matrix;
  if (weights.kind === 'f32') {
    const operands = [x, graph.constant(`${name}.weight`, [outputs, inputs], weights.values)];
    if (bias) operands.push(graph.constant(`${name}.bias`, [outputs], bias));
    return graph.node('Gemm', operands, y, { transB: 1 });
  }
  const sum = bias ? `${name}.product` : y;
  if (weights.kind === 'q4') int4(graph, name, matrix, weights.quantized.data, f16ToF32(weights.quantized.scales), null, x, sum, level);
  else if (level === 4) int8(graph, name, matrix, weights.quantized, x, sum);
  else twoInt4(graph, name, matrix, weights.quantized, x, sum);
  return bias ? graph.node('Add', [sum, graph.constant(`${name}.bias`, [outputs], bias)], y) : y;
}

/** Nibbles are q + 8, and 8 is the zero point that MatMulNBits takes where none is given. */
function int4(
  graph: ModelGraph,
  name: string,
  { inputs, outputs }: Matrix,
  nibbles: Uint8Array,
  scales: Float32Array,
  zeroPoints: Uint8Array | null,
  x: string,
  y: string,
  level: AccuracyLevel,
): string {
  const groups = groupsOf(inputs);
  const operands = [
    x,
    graph.constant(`${name}.weight`, [outputs, groups, GROUP / 2], nibbles, 'uint8'),
    graph.constant(`${name}.scale`, [outputs, groups], scales),
  ];
  if (zeroPoints) operands.push(graph.constant(`${name}.zero`, [outputs, Math.ceil(groups / 2)], zeroPoints, 'uint8'));
  return graph.node('MatMulNBits', operands, y, { K: inputs, N: outputs, bits: 4, block_size: GROUP, accuracy_level: level }, microsoft);
}

function int8(graph: ModelGraph, name: string, { inputs, outputs }: Matrix, { data, scales }: QuantizedRows, x: string, y: string): string {
  const groups = groupsOf(inputs);
  const bytes = data.map((value) => value ^ 0x80);
  const operands = [
    x,
    graph.constant(`${name}.weight`, [outputs, groups, GROUP], bytes, 'uint8'),
    graph.constant(`${name}.scale`, [outputs, groups], f16ToF32(scales)),
  ];
  return graph.node('MatMulNBits', operands, y, { K: inputs, N: outputs, bits: 8, block_size: GROUP, accuracy_level: 4 }, microsoft);
}

/**
 * int8 in f32 arithmetic, as two int4 products: q = 16 * high + low with high in [-8, 7] and low in [0, 15]. ONNX Runtime has no
 * f32 kernel for 8 bits on the CPU and would expand the whole matrix at every token; this reads the same bytes and is as exact.
 */
function twoInt4(graph: ModelGraph, name: string, matrix: Matrix, { data, scales }: QuantizedRows, x: string, y: string): string {
  const { inputs, outputs } = matrix;
  const high = new Uint8Array(data.length / 2);
  const low = new Uint8Array(data.length / 2);
  for (let pair = 0; pair < high.length; pair++) {
    const even = data[2 * pair] ^ 0x80;
    const odd = data[2 * pair + 1] ^ 0x80;
    high[pair] = (even >> 4) | (odd & 0xf0);
    low[pair] = (even & 15) | ((odd & 15) << 4);
  }
  const fine = f16ToF32(scales);
  const coarse = fine.map((scale) => 16 * scale);
  const zeros = new Uint8Array(outputs * Math.ceil(groupsOf(inputs) / 2));
  const a = int4(graph, `${name}.high`, matrix, high, coarse, null, x, `${name}.coarse`, 0);
  const b = int4(graph, `${name}.low`, matrix, low, fine, zeros, x, `${name}.fine`, 0);
  return graph.node('Add', [a, b], y);
}
