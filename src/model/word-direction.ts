import { bf16ToF32, f16ToF32 } from '../formats/float16.ts';
import { tensorLayout } from './layout.ts';
import type { ModelSpec } from './spec.ts';
import type { TensorRequirement, WeightSource } from './weights.ts';

/** Rows of a matrix that are read at once. */
const blockRows = 256;

/** Rows [from, to) of a tensor as f32. */
async function readRows(
  weights: WeightSource,
  tensor: TensorRequirement,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<Float32Array> {
  const info = weights.tensors.get(tensor.name);
  const bytesPerValue = info?.dtype === 'F32' ? 4 : 2;
  const columns = tensor.shape.slice(1).reduce((a, b) => a * b, 1);
  const bytes = await weights.read(tensor.name, from * columns * bytesPerValue, to * columns * bytesPerValue, signal);
  const aligned = bytes.slice();
  if (info?.dtype === 'F32') return new Float32Array(aligned.buffer);
  const halves = new Uint16Array(aligned.buffer);
  return info?.dtype === 'F16' ? f16ToF32(halves) : bf16ToF32(halves);
}

/** Adds `factor` times the rows of a row-major [rows, columns] block to `sum`: one block of W^T u. */
export function addWeightedRows(sum: Float64Array, block: Float32Array, factors: ArrayLike<number>): void {
  const columns = sum.length;
  for (let row = 0; row < factors.length; row += 1) {
    const factor = factors[row];
    if (factor === 0) continue;
    const start = row * columns;
    for (let i = 0; i < columns; i += 1) sum[i] += factor * block[start + i];
  }
}

/**
 * For every head, the direction in its output that raises the logit of a word most directly: with u the word's row of the
 * unembedding (mean over its tokens) times the gain of the last norm, W_o of the layer and its columns of head h,
 * `W_o[:, h]^T u`. What later layers and the norm's scale do to it is left out, and so are Gemma's norms after attention.
 * Streams W_o in blocks of rows, so no matrix is ever held whole. Gives layers x heads x headDim values.
 * @param ids token ids below the vocabulary's size, at least one
 */
export async function wordDirections(
  spec: ModelSpec,
  weights: WeightSource,
  ids: readonly number[],
  signal: AbortSignal,
): Promise<Float32Array> {
  const layout = tensorLayout(spec);
  const find = (role: TensorRequirement['role'], layer = -1): TensorRequirement => {
    const tensor = layout.find((row) => row.role === role && row.layer === layer);
    if (!tensor) throw new Error(`the layout lacks ${role}`);
    return tensor;
  };
  const unembedding = find(spec.tiedHead ? 'embed' : 'head');
  const gain = await readRows(weights, find('final_norm'), 0, spec.hidden, signal);
  const u = new Float64Array(spec.hidden);
  for (const id of ids) {
    const row = await readRows(weights, unembedding, id, id + 1, signal);
    for (let i = 0; i < u.length; i += 1) u[i] += (row[i] * (spec.normOffset + gain[i])) / ids.length;
  }
  const width = spec.heads * spec.headDim;
  const directions = new Float32Array(spec.layers * width);
  for (let layer = 0; layer < spec.layers; layer += 1) {
    const o = find('o', layer);
    const sum = new Float64Array(width);
    for (let row = 0; row < spec.hidden; row += blockRows) {
      const end = Math.min(row + blockRows, spec.hidden);
      addWeightedRows(sum, await readRows(weights, o, row, end, signal), u.subarray(row, end));
    }
    directions.set(sum, layer * width);
  }
  return directions;
}
