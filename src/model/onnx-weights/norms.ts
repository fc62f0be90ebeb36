import type { Constants } from './constants.ts';
import type { GraphIndex } from './graph-index.ts';
import type { OnnxNode } from './onnx-graph.ts';
import type { Weight } from './weight.ts';

/** A norm as one operator, with the place of its weight. */
const operators: Readonly<Record<string, number>> = {
  SimplifiedLayerNormalization: 1,
  RMSNormalization: 1,
  SkipSimplifiedLayerNormalization: 2,
};

const passing: ReadonlySet<string> = new Set(['Cast', 'Identity', 'Reshape', 'Clip', 'Transpose', 'Squeeze', 'Unsqueeze']);
/** Before the head only the last positions may be kept. */
const choosing: ReadonlySet<string> = new Set([...passing, 'Gather', 'Slice']);
/** What a norm consists of where exporters wrote it out. */
const steps: ReadonlySet<string> = new Set([...passing, 'Pow', 'ReduceMean', 'Sqrt', 'Div', 'Reciprocal', 'Mul']);

/** The weight of a node that is a norm, or the last step of one: a product with a constant vector. */
export function normWeight(index: GraphIndex, constants: Constants, node: OnnxNode | undefined): Weight | null {
  if (!node) return null;
  if (Object.hasOwn(operators, node.op)) return vector(constants, node.inputs[operators[node.op]]);
  if (node.op !== 'Mul') return null;
  const [fixed, ...others] = node.inputs.filter((input) => index.isConstant(input));
  return fixed === undefined || others.length > 0 ? null : vector(constants, fixed);
}

function vector(constants: Constants, name: string | undefined): Weight | null {
  const weight = name === undefined ? null : constants.weight(name);
  return weight && weight.rows === 1 && weight.cols > 1 ? weight : null;
}

/** The weight of the norm whose output a product takes. */
export function normBefore(index: GraphIndex, constants: Constants, input: string): Weight | null {
  return normWeight(index, constants, index.maker(index.origin(input, choosing)));
}

/** The weight of the norm that a block's output passes before it is added to the residual stream. */
export function normAfter(index: GraphIndex, constants: Constants, output: string): Weight | null {
  const seen = new Set<string>();
  const queue = [output];
  for (let value = queue.shift(); value !== undefined; value = queue.shift()) {
    for (const node of index.usersOf(value)) {
      // With the residual stream beside it, a Skip norm is the next block's.
      if (node.op === 'SkipSimplifiedLayerNormalization') continue;
      const weight = normWeight(index, constants, node);
      if (weight) return weight;
      const isStep = steps.has(node.op) || (node.op === 'Add' && node.inputs.some((input) => index.isConstant(input)));
      if (!isStep || seen.has(node.outputs[0])) continue;
      seen.add(node.outputs[0]);
      queue.push(node.outputs[0]);
    }
  }
  return null;
}
