import type { At, EditNode, Gate, GraphNode, ReadNode, Selector, VectorTable } from '../../src/graph/document.ts';
import type { ModelShape, PointName } from '../../src/graph/points.ts';
import { buildGraph } from '../../src/graph/vectors.ts';
import type { BoundGraph } from '../../src/graph/document.ts';
import type { GoldenEdit } from './golden.ts';

/** The golden cases' own words for tokens, as selectors. */
function selector({ policy, start, end, indices }: GoldenEdit['positions']): Selector {
  switch (policy) {
    case 'all':
      return 'all';
    case 'last':
      return 'generated';
    case 'prompt_only':
      return 'prompt';
    case 'generated_only':
      return 'answer';
    case 'from':
      return { from: start };
    case 'range':
      return { from: start, to: end };
    case 'list':
      return { at: indices ?? [] };
    default:
      throw new Error(`unknown policy ${policy}`);
  }
}

const place = (hook: string, layer: number | null, head?: number): At => ({
  point: hook as PointName,
  ...(layer === null ? {} : { layer }),
  ...(head === undefined ? {} : { head }),
});

const listed = (value: number | readonly number[] | undefined, index: number): number =>
  value === undefined ? 1 : typeof value === 'number' ? value : value[index];

function editNode(edit: GoldenEdit, id: string, at: At, index: number, gate: Gate | undefined): EditNode {
  const common = { id, at, tokens: selector(edit.positions), ...(gate ? { when: gate } : {}) };
  const vector = edit.vector === undefined ? undefined : edit.heads ? ([edit.vector, index] as const) : edit.vector;
  switch (edit.op) {
    case 'add':
    case 'gated_add':
      return { ...common, edit: 'add', vector, strength: (edit.scale ?? 1) * listed(edit.sigma, index) };
    case 'scale_masked':
      return { ...common, edit: 'scale', mask: vector, strength: edit.delta };
    case 'ablate':
      return { ...common, edit: 'ablate', vector };
    case 'clamp_projection':
      return { ...common, edit: 'clamp', vector, strength: listed(edit.value, index) };
    case 'cap_projection':
      return { ...common, edit: 'cap', vector, strength: listed(edit.value, index) };
    case 'set':
    case 'mean_replace':
      return { ...common, edit: 'set', vector };
    case 'zero':
      return { ...common, edit: 'scale', strength: -1 };
  }
}

/** A golden case as an intervention graph: one node per head, gates as reads of their own. */
export function translate(edits: readonly GoldenEdit[], model: ModelShape, vectors: VectorTable): BoundGraph {
  const nodes: GraphNode[] = [];
  const used = new Set<string>();
  edits.forEach((edit, n) => {
    let gate: Gate | undefined;
    if (edit.gate) {
      const { hook, layer, head, vector, threshold, at } = edit.gate;
      const read: ReadNode = { id: `gate${n}`, read: 'dot', at: place(hook, layer, head), tokens: 'all', vector };
      nodes.push(read);
      used.add(vector);
      gate = { read: read.id, above: threshold, hold: at === 'same' ? 'each' : 'last' };
    }
    if (edit.vector !== undefined) used.add(edit.vector);
    const heads = edit.heads ?? [undefined];
    heads.forEach((head, index) => {
      const id = head === undefined ? `n${n}` : `n${n}.h${head}`;
      nodes.push(editNode(edit, id, place(edit.hook, edit.layer, head), index, gate));
    });
  });
  return buildGraph({ model, nodes, vectors: Object.fromEntries([...used].map((name) => [name, vectors[name]])) });
}
