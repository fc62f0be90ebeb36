import { carried, type GraphIndex } from './graph-index.ts';
import { linearsBehind, refuseGraph } from './attention.ts';
import type { Linear } from './linears.ts';
import type { ModelSpec } from '../spec.ts';

/** The products of one layer's gated MLP: down(act(gate(x)) * up(x)). */
export interface Mlp {
  readonly gate: Linear;
  readonly up: Linear;
  readonly down: Linear;
}

const passing: ReadonlySet<string> = new Set(['Cast', 'Identity', 'Reshape', 'Clip']);

/** Operators that betray an activation. */
const activations: Readonly<Record<string, ModelSpec['activation'] | 'gelu'>> = {
  Sigmoid: 'silu',
  QuickGelu: 'silu',
  Silu: 'silu',
  Swish: 'silu',
  FastGelu: 'gelu_tanh',
  Tanh: 'gelu_tanh',
  Erf: 'gelu',
};

/** Every gated MLP of the graph, in order of computation. @throws model/file where its activation is not the model's */
export function findMlps(index: GraphIndex, linears: readonly Linear[], activation: ModelSpec['activation'], file: string): Mlp[] {
  const byOutput = new Map(linears.map((linear) => [linear.output, linear]));
  const out: Mlp[] = [];
  for (const down of linears) {
    const product = index.maker(index.origin(down.input, passing));
    if (product?.op !== 'Mul') continue;
    const sides = product.inputs.map((side) => {
      const direct = byOutput.get(index.origin(side, passing));
      return { side, direct, behind: index.isConstant(side) ? [] : linearsBehind(index, byOutput, side) };
    });
    const up = sides.find(({ direct }) => direct !== undefined);
    const gate = sides.find((side) => side !== up);
    if (!up?.direct || gate?.behind.length !== 1 || gate.direct) continue;
    if (gate.behind[0] === up.direct)
      return refuseGraph(file, `gate and up of "${down.node.name.slice(0, 200)}" are one product, which is not read`);
    checkActivation(index, byOutput, gate.side, activation, file);
    out.push({ gate: gate.behind[0], up: up.direct, down });
  }
  return out;
}

function checkActivation(
  index: GraphIndex,
  byOutput: ReadonlyMap<string, Linear>,
  from: string,
  expected: ModelSpec['activation'],
  file: string,
): void {
  const seen = new Set<string>([from]);
  const queue = [from];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const node = byOutput.has(at) ? undefined : index.maker(at);
    if (!node) continue;
    const found = Object.hasOwn(activations, node.op) ? activations[node.op] : null;
    if (found !== null && found !== expected)
      refuseGraph(file, `the activation of its MLPs is ${node.op} (${found}), config.json says ${expected}`);
    for (const input of carried(index, node)) {
      if (seen.has(input)) continue;
      seen.add(input);
      queue.push(input);
    }
  }
}
