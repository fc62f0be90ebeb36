import { TillerError } from '../../errors/error.ts';
import { refuseNode, type Constants } from './constants.ts';
import { arrangement, carried, type GraphIndex } from './graph-index.ts';
import type { Linear } from './linears.ts';
import { normWeight } from './norms.ts';
import type { OnnxNode } from './onnx-graph.ts';
import type { Weight } from './weight.ts';

/** Where attention begins and ends: as one operator, or as products around a Softmax. */
interface Core {
  readonly node: OnnxNode;
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly output: string;
}

/** The projections of one layer's attention. Fused ones are one and the same product. */
export interface Attention {
  readonly node: OnnxNode;
  readonly q: Linear;
  readonly k: Linear;
  readonly v: Linear;
  readonly o: Linear;
  readonly qNorm: Weight | null;
  readonly kNorm: Weight | null;
}

/** Operators that are a whole attention: query, key and value are their first inputs. */
const operators: ReadonlySet<string> = new Set(['GroupQueryAttention', 'MultiHeadAttention', 'Attention']);
/** Inputs of GroupQueryAttention that hold the norms of heads, where they are part of it. */
const FUSED_Q_NORM = 14;
const FUSED_K_NORM = 15;

/** Every attention of the graph, in order of computation, with its projections. @throws model/file */
export function findAttentions(index: GraphIndex, constants: Constants, linears: readonly Linear[], file: string): Attention[] {
  const byOutput = new Map(linears.map((linear) => [linear.output, linear]));
  const byInput = new Map<string, Linear[]>();
  for (const linear of linears) byInput.set(linear.input, [...(byInput.get(linear.input) ?? []), linear]);
  return findCores(index, byOutput, file).map(({ node, q, k, v, output }) => {
    const one = (value: string, what: string): Linear => {
      const found = linearsBehind(index, byOutput, value);
      return found.length === 1 ? found[0] : refuseNode(node, `takes its ${what} from ${found.length} products, expected one`, file);
    };
    const after = productsAfter(index, byInput, output);
    if (after.length !== 1) return refuseNode(node, `is followed by ${after.length} products, expected o_proj alone`, file);
    const query = one(q, 'query');
    const key = one(k, 'key');
    const fused = (place: number): Weight | null => (node.inputs[place] ? constants.weight(node.inputs[place]) : null);
    return {
      node,
      q: query,
      k: key,
      v: one(v, 'value'),
      o: after[0],
      qNorm: fused(FUSED_Q_NORM) ?? normBetween(index, constants, q, query.output),
      kNorm: fused(FUSED_K_NORM) ?? normBetween(index, constants, k, key.output),
    };
  });
}

function findCores(index: GraphIndex, byOutput: ReadonlyMap<string, Linear>, file: string): Core[] {
  const out: Core[] = [];
  for (const node of index.graph.nodes) {
    if (operators.has(node.op)) {
      const [q, k, v] = node.inputs;
      // The queries, keys and values of a packed product come as one.
      out.push({ node, q, k: k || q, v: v || q, output: node.outputs[0] });
      checkOperator(node, file);
    } else if (node.op === 'Softmax') {
      const core = coreOfSoftmax(index, node);
      // A Softmax over the vocabulary or the like has no two products of activations around it.
      if (core && linearsBehind(index, byOutput, core.q).length > 0) out.push(core);
    }
  }
  return out;
}

function checkOperator(node: OnnxNode, file: string): void {
  const off = (key: string): void => {
    const value = node.numbers.get(key) ?? 0;
    if (value !== 0) refuseNode(node, `has ${key} ${value}, which is not computed`, file);
  };
  for (const key of ['softcap', 'rotary_interleaved', 'smooth_softmax']) off(key);
  if (node.op === 'Attention' && node.domain === 'com.microsoft') refuseNode(node, 'has its projections inside, which are not read', file);
}

/** scores = q kT, softmax, times v. */
function coreOfSoftmax(index: GraphIndex, softmax: OnnxNode): Core | null {
  const scores = search([softmax.inputs[0]], 16, (value) => {
    const node = index.maker(value);
    if (node?.op === 'MatMul' || node?.op === 'FusedMatMul') return { found: node };
    return { next: node ? carried(index, node) : [] };
  });
  const mix = search([softmax.outputs[0]], 16, (value) => {
    const users = index.usersOf(value);
    const product = users.find((node) => (node.op === 'MatMul' || node.op === 'FusedMatMul') && node.inputs[0] === value);
    if (product) return { found: product };
    return { next: users.filter(({ op }) => arrangement.has(op) || op === 'Where' || op === 'Mul').map(({ outputs }) => outputs[0]) };
  });
  if (!scores || !mix || scores.inputs.slice(0, 2).some((input) => index.isConstant(input)) || index.isConstant(mix.inputs[1])) return null;
  return { node: softmax, q: scores.inputs[0], k: scores.inputs[1], v: mix.inputs[1], output: mix.outputs[0] };
}

/** Breadth first, at most `depth` steps away. */
function search(
  from: readonly string[],
  depth: number,
  look: (value: string) => { readonly found: OnnxNode } | { readonly next: readonly string[] },
): OnnxNode | null {
  const seen = new Set<string>(from);
  let front = [...from];
  for (let step = 0; step < depth && front.length > 0; step++) {
    const next: string[] = [];
    for (const value of front) {
      const result = look(value);
      if ('found' in result) return result.found;
      for (const one of result.next) {
        if (seen.has(one)) continue;
        seen.add(one);
        next.push(one);
      }
    }
    front = next;
  }
  return null;
}

/** The products that a value is made from, without looking behind them. */
export function linearsBehind(index: GraphIndex, byOutput: ReadonlyMap<string, Linear>, value: string): Linear[] {
  const seen = new Set<string>([value]);
  const found = new Set<Linear>();
  const queue = [value];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const linear = byOutput.get(at);
    if (linear) {
      found.add(linear);
      continue;
    }
    const node = index.maker(at);
    for (const input of node ? carried(index, node) : []) {
      if (seen.has(input)) continue;
      seen.add(input);
      queue.push(input);
    }
  }
  return [...found];
}

/** The products that take a value, through operators that only arrange it. */
function productsAfter(index: GraphIndex, byInput: ReadonlyMap<string, readonly Linear[]>, value: string): Linear[] {
  const seen = new Set<string>([value]);
  const queue = [value];
  const found: Linear[] = [];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    found.push(...(byInput.get(at) ?? []));
    for (const node of index.usersOf(at)) {
      const [output] = node.outputs;
      if (!arrangement.has(node.op) || seen.has(output)) continue;
      seen.add(output);
      queue.push(output);
    }
  }
  return found;
}

/** The weight of a norm over heads on the way from a projection to attention. */
function normBetween(index: GraphIndex, constants: Constants, from: string, to: string): Weight | null {
  const seen = new Set<string>([from]);
  const queue = [from];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    if (at === to) continue;
    const node = index.maker(at);
    if (!node) continue;
    const weight = normWeight(index, constants, node);
    if (weight) return weight;
    for (const input of carried(index, node)) {
      if (seen.has(input)) continue;
      seen.add(input);
      queue.push(input);
    }
  }
  return null;
}

/** What is wrong with the graph as a whole. */
export function refuseGraph(file: string, problem: string): never {
  throw new TillerError('model/file', { file, problem });
}
