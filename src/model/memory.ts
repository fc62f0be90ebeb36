import { tensorLayout } from './layout.ts';
import { GROUP, groupsOf } from './quantize.ts';
import type { ModelSpec } from './spec.ts';
import type { Quantization, TensorDtype } from './weights.ts';

/**
 * Tables (embedding and head) that are larger than this in their stored form are kept in int8 when the projections are quantised:
 * int4 costs too much there, and small tables are kept as they are.
 */
export const LARGE_TABLE_BYTES = 32 * 2 ** 20;

const dtypeBytes: Readonly<Record<TensorDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Bytes of one row of a matrix as it lies on a device: padded to whole groups of 32 inputs, scales in 16 bits. */
function rowBytes(cols: number, kind: Quantization, stored: TensorDtype): number {
  const groups = groupsOf(cols);
  if (kind === 'none') return groups * GROUP * dtypeBytes[stored];
  return groups * (kind === 'q4' ? GROUP / 2 : GROUP) + groups * 2;
}

/** What a model needs on the device, in bytes. */
export interface MemoryNeed {
  readonly weights: number;
  /** Keys and values of all lanes over the whole context. */
  readonly cache: number;
  /** Activations of one chunk of the prompt and logits: an estimate. */
  readonly scratch: number;
  readonly total: number;
}

export interface MemoryOptions {
  readonly quantization: Quantization;
  /** Tokens. */
  readonly context: number;
  readonly lanes: number;
  /** How the weights are stored in the files. @default 'BF16' */
  readonly stored?: TensorDtype;
  /** Bytes of a number in the cache. @default 2 */
  readonly cacheBytes?: 2 | 4;
  /** Tokens of a prompt that are computed at once. @default 256 */
  readonly chunk?: number;
}

/** Numbers in all tensors of a model; a tied head counts once. */
export function parameterCount(spec: ModelSpec): number {
  return tensorLayout(spec).reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
}

/** Memory that a model needs, computed from its shape. */
export function memoryNeeded(spec: ModelSpec, options: MemoryOptions): MemoryNeed {
  const { quantization, context, lanes, stored = 'BF16', cacheBytes = 2, chunk = 256 } = options;
  let weights = 0;
  for (const { role, shape } of tensorLayout(spec)) {
    if (shape.length === 1) {
      weights += shape[0] * 4;
      continue;
    }
    const [rows, cols] = shape;
    const table = role === 'embed' || role === 'head';
    const small = rows * cols * dtypeBytes[stored] <= LARGE_TABLE_BYTES;
    const kind = !table || quantization === 'none' ? quantization : small ? 'none' : 'q8';
    weights += rows * rowBytes(cols, kind, stored);
  }
  const positions = Math.min(context, spec.maxPositions);
  const cache = 2 * spec.layers * spec.kvHeads * spec.headDim * cacheBytes * positions * lanes;
  const width = 4 * spec.hidden + (2 * spec.heads + 2 * spec.kvHeads) * spec.headDim + 3 * spec.intermediate;
  const scratch = 4 * (Math.max(chunk, lanes) * width + 2 * lanes * spec.vocab);
  return { weights, cache, scratch, total: weights + cache + scratch };
}
