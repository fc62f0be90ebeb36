/**
 * The points of the forward pass: every place where an activation can be read or edited. Schema, engines, docs and the
 * interface derive from this table. Names and meanings are those of the field (TransformerLens, interp-engine).
 * Widths are kinds, not numbers, because heads * headDim equals hidden on Llama and not on Gemma 3.
 */
export type WidthKind = 'hidden' | 'query' | 'kv' | 'intermediate' | 'vocab';

export interface PointRow {
  readonly point: string;
  readonly width: WidthKind;
  /** Whether `at.layer` must be given. */
  readonly perLayer: boolean;
  /** Which heads `at.head` counts, where the point has heads. */
  readonly heads: 'query' | 'kv' | null;
  readonly doc: string;
}

/** In the order of the forward pass; `embed` first, then per layer, then `final_norm` and `logits`. */
export const points = [
  {
    point: 'embed',
    width: 'hidden',
    perLayer: false,
    heads: null,
    doc: "token embeddings as they enter layer 0, after the family's scaling",
  },
  { point: 'resid_pre', width: 'hidden', perLayer: true, heads: null, doc: 'input of a layer' },
  { point: 'q', width: 'query', perLayer: true, heads: 'query', doc: 'queries after bias and head norm, before rotary embedding' },
  { point: 'k', width: 'kv', perLayer: true, heads: 'kv', doc: 'keys after bias and head norm, before rotary embedding' },
  { point: 'v', width: 'kv', perLayer: true, heads: 'kv', doc: 'values after bias' },
  {
    point: 'z',
    width: 'query',
    perLayer: true,
    heads: 'query',
    doc: 'concatenated head outputs, before o_proj: the place of head-level steering',
  },
  {
    point: 'attn_out',
    width: 'hidden',
    perLayer: true,
    heads: null,
    doc: 'output of o_proj, bias included, before any norm that follows it',
  },
  { point: 'resid_mid', width: 'hidden', perLayer: true, heads: null, doc: 'after the attention output is added to the residual stream' },
  { point: 'mlp_act', width: 'intermediate', perLayer: true, heads: null, doc: 'activation(gate), before the product with up' },
  { point: 'mlp_hidden', width: 'intermediate', perLayer: true, heads: null, doc: 'input of down_proj' },
  { point: 'mlp_out', width: 'hidden', perLayer: true, heads: null, doc: 'output of down_proj, before any norm that follows it' },
  { point: 'resid_post', width: 'hidden', perLayer: true, heads: null, doc: 'output of a layer' },
  { point: 'final_norm', width: 'hidden', perLayer: false, heads: null, doc: 'output of the last norm' },
  { point: 'logits', width: 'vocab', perLayer: false, heads: null, doc: 'output of the head; an add here is a logit bias' },
] as const satisfies readonly PointRow[];

export type PointName = (typeof points)[number]['point'];
export const pointNames = points.map((row) => row.point) as readonly PointName[];

const byName = new Map<string, PointRow>(points.map((row) => [row.point, row]));

/** The row of a point. Throws a plain Error on an unknown name: documents are validated before they come here. */
export function pointRow(name: PointName): PointRow {
  const row = byName.get(name);
  if (!row) throw new Error(`unknown point ${name}`);
  return row;
}

/** What of a model's shape the graph needs to know. `model` of a graph document, and a part of every ModelSpec. */
export interface ModelShape {
  readonly family: string;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly hidden: number;
  readonly intermediate: number;
}

/** Width of a point in floats. `vocab` is only needed for `logits`. */
export function pointWidth(name: PointName, shape: ModelShape, vocab: number): number {
  switch (pointRow(name).width) {
    case 'hidden':
      return shape.hidden;
    case 'query':
      return shape.heads * shape.headDim;
    case 'kv':
      return shape.kvHeads * shape.headDim;
    case 'intermediate':
      return shape.intermediate;
    case 'vocab':
      return vocab;
  }
}

/**
 * Position of (point, layer) in the forward pass, for ordering and for "a read comes before the edit it gates".
 * Layers count from 0; `layer` is ignored for points without one.
 */
export function forwardOrder(name: PointName, layer: number, layers: number): number {
  const index = pointNames.indexOf(name);
  const perLayer = points.filter((row) => row.perLayer).length;
  if (name === 'embed') return 0;
  if (!pointRow(name).perLayer) return 1 + layers * perLayer + (index - perLayer - 1);
  return 1 + layer * perLayer + (index - 1);
}
