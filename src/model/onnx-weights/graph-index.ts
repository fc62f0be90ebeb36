import type { OnnxGraph, OnnxNode } from './onnx-graph.ts';

/** The graph by its values: who makes them and who uses them. */
export class GraphIndex {
  readonly graph: OnnxGraph;
  private readonly makers = new Map<string, OnnxNode>();
  private readonly users = new Map<string, OnnxNode[]>();
  private readonly fixed = new Map<string, boolean>();

  constructor(graph: OnnxGraph) {
    this.graph = graph;
    for (const node of graph.nodes) {
      for (const output of node.outputs) if (output !== '') this.makers.set(output, node);
      for (const input of new Set(node.inputs)) {
        if (input === '') continue;
        const users = this.users.get(input);
        if (users) users.push(node);
        else this.users.set(input, [node]);
      }
    }
    // Nodes come in order of computation, so one pass tells what depends on no input.
    for (const node of graph.nodes) {
      const constant = node.inputs.length > 0 && node.inputs.every((input) => input === '' || this.isConstant(input));
      for (const output of node.outputs) this.fixed.set(output, constant);
    }
  }

  maker(value: string): OnnxNode | undefined {
    return this.makers.get(value);
  }

  usersOf(value: string): readonly OnnxNode[] {
    return this.users.get(value) ?? [];
  }

  /** Whether a value depends on no input of the graph. */
  isConstant(value: string): boolean {
    return this.graph.constants.has(value) || (this.fixed.get(value) ?? false);
  }

  /** Follows a value back through operators that do not change its numbers, only their type or arrangement. */
  origin(value: string, through: ReadonlySet<string> = arrangement): string {
    let at = value;
    for (let node = this.maker(at); node && through.has(node.op); node = this.maker(at)) at = node.inputs[0];
    return at;
  }
}

/** Operators that pass their first input on, in another type or arrangement at most. */
export const arrangement: ReadonlySet<string> = new Set([
  'Cast',
  'Clip',
  'Dropout',
  'Expand',
  'Flatten',
  'Identity',
  'Reshape',
  'Slice',
  'Split',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
]);

/** Operators that tell shapes, not numbers. */
const shapes: ReadonlySet<string> = new Set(['Shape', 'Size', 'ConstantOfShape', 'Range', 'NonZero']);

/** Inputs whose numbers end up in the output; others say how. */
const carriers: Readonly<Record<string, readonly number[]>> = {
  ...Object.fromEntries([...arrangement].map((op) => [op, [0]])),
  Gather: [0],
  GatherElements: [0],
  Pad: [0],
  ReduceMean: [0],
  ReduceSum: [0],
  RotaryEmbedding: [0],
  ScatterND: [0, 2],
  SimplifiedLayerNormalization: [0],
  RMSNormalization: [0],
  SkipSimplifiedLayerNormalization: [0, 1],
  Softmax: [0],
  Tile: [0],
  Where: [1, 2],
};

/** Inputs of a node that carry numbers of activations. */
export function carried(index: GraphIndex, node: OnnxNode): string[] {
  if (shapes.has(node.op)) return [];
  const places = Object.hasOwn(carriers, node.op) ? carriers[node.op] : node.inputs.map((_, i) => i);
  return places.map((i) => node.inputs[i]).filter((input) => input !== undefined && input !== '' && !index.isConstant(input));
}
