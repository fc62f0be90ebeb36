/** Bounds of an intervention graph, checked before anything is built from the counts in a document. */
export const graphLimits = {
  /** Nodes of a graph. */
  nodes: 65_536,
  /** Entries of `vectors`. */
  vectors: 65_536,
  /** Numbers written inline, in all vectors of a document together; larger ones belong in the safetensors file. */
  inlineNumbers: 1_048_576,
  /** Levels of `any`, `all` and `not` in one selector. */
  selectorDepth: 32,
  /** Characters of a node id. */
  idLength: 128,
  /** Characters of a vector's name, a lane's name and a graph's name. */
  nameLength: 256,
  /** JSON values of a document without inline numbers. */
  values: 2_097_152,
  /** Characters of a document's text. */
  textLength: 67_108_864,
  /** Largest layer, head, width or count of a model's shape. */
  dimension: 16_777_216,
  /** Largest position or token id, either sign. */
  index: 2_147_483_647,
} as const;

/** Numbers meet the model as f32, so what f32 cannot hold is refused. */
export const f32Max = 3.4028234663852886e38;
