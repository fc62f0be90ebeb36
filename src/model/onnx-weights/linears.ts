import type { Constants } from './constants.ts';
import { refuseNode } from './constants.ts';
import type { GraphIndex } from './graph-index.ts';
import type { OnnxNode } from './onnx-graph.ts';
import { elementsOf } from './onnx-tensor.ts';
import type { Weight } from './weight.ts';

/** A product of an activation with a constant matrix, however many nodes it takes. */
export interface Linear {
  readonly node: OnnxNode;
  /** The activation, before it is quantised where it is. */
  readonly input: string;
  /** The result, with scales and bias applied. */
  readonly output: string;
  /** [out, in]. */
  readonly weight: Weight;
  readonly bias: Weight | null;
}

type Found = Omit<Linear, 'bias'> & { readonly bias: string | null };

/** Every product of the graph with a constant matrix, in order of computation. @throws model/file */
export function findLinears(index: GraphIndex, constants: Constants, file: string): Linear[] {
  const out: Linear[] = [];
  for (const node of index.graph.nodes) {
    const found = linearOf(index, constants, node, file);
    if (!found) continue;
    const own = found.bias === null ? null : vector(constants, found.bias, found.weight.rows);
    const added = own ? null : biasAfter(index, constants, found.output, found.weight.rows);
    out.push({ ...found, output: added?.output ?? found.output, bias: own ?? added?.bias ?? null });
  }
  return out;
}

function vector(constants: Constants, name: string, length: number): Weight | null {
  const weight = constants.weight(name);
  return weight && weight.rows === 1 && weight.cols === length ? weight : null;
}

/** The only use of a product is to add a constant vector to it: that is its bias. */
function biasAfter(index: GraphIndex, constants: Constants, output: string, length: number): { output: string; bias: Weight } | null {
  const users = index.usersOf(output);
  const [add] = users;
  if (users.length !== 1 || add.op !== 'Add') return null;
  const other = add.inputs[0] === output ? add.inputs[1] : add.inputs[0];
  if (!index.isConstant(other)) return null;
  const bias = vector(constants, other, length);
  return bias && { output: add.outputs[0], bias };
}

function linearOf(index: GraphIndex, constants: Constants, node: OnnxNode, file: string): Found | null {
  const [a, b] = node.inputs;
  if (a === undefined || b === undefined || index.isConstant(a) || !index.isConstant(b)) return null;
  const plain = (weight: Weight | null, bias: string | null = null): Found | null =>
    weight && weight.rows > 1 && weight.cols > 1 ? { node, input: a, output: node.outputs[0], weight, bias } : null;
  switch (node.op) {
    case 'MatMul': {
      const weight = constants.weight(b);
      return plain(weight && constants.transpose(weight));
    }
    case 'Gemm':
    case 'FusedMatMul': {
      const number = (key: string, fallback: number): number => node.numbers.get(key) ?? fallback;
      if (number('alpha', 1) !== 1 || number('beta', 1) !== 1 || number('transA', 0) !== 0)
        return refuseNode(node, 'scales or transposes its input, which is not read', file);
      const weight = constants.weight(b);
      return plain(weight && (number('transB', 0) === 1 ? weight : constants.transpose(weight)), node.inputs[2] ?? null);
    }
    case 'MatMulNBits':
      return plain(constants.matMulNBits(node), node.inputs[5] || null);
    case 'MatMulInteger':
      return integerProduct(index, constants, node, file);
    case 'DynamicQuantizeMatMul':
      return plain(integerWeight(constants, node, b, node.inputs[2], node.inputs[3]), node.inputs[4] || null);
    case 'MatMulIntegerToFloat': {
      const weight = integerWeight(constants, node, b, node.inputs[3], node.inputs[5]);
      return { node, input: beforeQuantizing(index, a), output: node.outputs[0], weight, bias: node.inputs[6] || null };
    }
    default:
      return null;
  }
}

/** The activation that a DynamicQuantizeLinear (or QuantizeLinear) turned into integers. */
function beforeQuantizing(index: GraphIndex, value: string): string {
  const maker = index.maker(value);
  return maker && (maker.op === 'DynamicQuantizeLinear' || maker.op === 'QuantizeLinear') ? maker.inputs[0] : value;
}

/** Stored [in, out], with a scale and a zero point for the whole or for every output. */
function integerWeight(constants: Constants, node: OnnxNode, name: string, scaleName: string, zeroName: string | undefined): Weight {
  const tensor = constants.need(name, 'weight', node);
  const scale = constants.need(scaleName, 'scale', node);
  const zero = zeroName ? constants.need(zeroName, 'zero point', node) : null;
  return constants.transpose(constants.integers(tensor, scale, zero, { axis: 1, block: 0 }));
}

/**
 * MatMulInteger gives integers; a Cast and a Mul with (scale of the activation times scale of the weight) make numbers of them. The
 * second scale is the constant one.
 */
function integerProduct(index: GraphIndex, constants: Constants, node: OnnxNode, file: string): Found {
  const casts = index.usersOf(node.outputs[0]).filter(({ op }) => op === 'Cast');
  const muls = casts.flatMap((cast) => index.usersOf(cast.outputs[0]).filter(({ op }) => op === 'Mul'));
  const scaled = casts.length === 1 && muls.length === 1 ? muls[0] : null;
  if (!scaled) return refuseNode(node, 'is not followed by a Cast and a Mul with the scales', file);
  const factor = scaled.inputs[0] === casts[0].outputs[0] ? scaled.inputs[1] : scaled.inputs[0];
  const product = index.maker(factor);
  const scaleName = index.isConstant(factor)
    ? factor
    : product?.op === 'Mul'
      ? product.inputs.find((name) => index.isConstant(name))
      : undefined;
  if (scaleName === undefined) return refuseNode(node, 'is scaled by something that holds no constant scale', file);
  const weight = integerWeight(constants, node, node.inputs[1], scaleName, node.inputs[3]);
  const tensor = constants.need(scaleName, 'scale', node);
  if (elementsOf(tensor.dims) !== 1 && elementsOf(tensor.dims) !== weight.rows)
    return refuseNode(node, `has ${elementsOf(tensor.dims)} scales for ${weight.rows} outputs`, file);
  return { node, input: beforeQuantizing(index, node.inputs[0]), output: scaled.outputs[0], weight, bias: null };
}
