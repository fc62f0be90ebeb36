import type { QuantizedRows } from './quantize.ts';

/** Tensors of a model on disk or on the net, readable in pieces: nothing is ever held whole. */

export type TensorDtype = 'F32' | 'F16' | 'BF16';

export interface TensorInfo {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
}

export interface WeightSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** What these weights are, for receipts: a hash where one is known, else a description of name, sizes and dtypes. */
  readonly identity: string;
  /** Bytes [start, end) of a tensor's data. Throws `model/file` when the file ends early, `network/failed` when it cannot be fetched. */
  read(name: string, start: number, end: number, signal?: AbortSignal): Promise<Uint8Array>;
  /**
   * Rows [first, first + count) of a matrix as `quantizeRows` makes them, where a source has or keeps them packed; null where it has not.
   * Engines ask `readPackedRows`, which falls back to reading and packing.
   */
  readonly packed?: (name: string, kind: 'q8' | 'q4', first: number, count: number, signal?: AbortSignal) => Promise<QuantizedRows | null>;
}

/** What a weight is for. `layer` roles repeat per layer. */
export type TensorRole =
  | 'embed'
  | 'final_norm'
  | 'head'
  | 'input_norm'
  | 'q'
  | 'k'
  | 'v'
  | 'q_bias'
  | 'k_bias'
  | 'v_bias'
  | 'q_norm'
  | 'k_norm'
  | 'o'
  | 'o_bias'
  | 'post_attn_norm'
  | 'pre_mlp_norm'
  | 'gate'
  | 'up'
  | 'down'
  | 'gate_bias'
  | 'up_bias'
  | 'down_bias'
  | 'post_mlp_norm';

/** One tensor that a spec requires; `src/model/layout.ts` lists them in the order in which they are loaded. Matrices are [out, in]. */
export interface TensorRequirement {
  readonly role: TensorRole;
  /** -1 where there is no layer. */
  readonly layer: number;
  readonly name: string;
  readonly shape: readonly number[];
}

/** How weights are asked to be kept on the device. `none`: as stored in the file. */
export type Quantization = 'none' | 'q8' | 'q4';
