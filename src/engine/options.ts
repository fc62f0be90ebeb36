import type { Quantization } from '../model/weights.ts';
import type { LoadProgress } from './engine.ts';

/** What a person may choose about how a model is loaded. */
export interface LoadOptions {
  /** @default 'none' */
  readonly quantization?: Quantization;
  /**
   * `f32` computes in f32 whatever the device can do; `f16` asks for f16 products and throws device/limits where there are none;
   * `auto` takes f16 where a GPU has shader-f16 and the weights are kept in 16 bits or fewer (software adapters emulate it, slowly), and on
   * the CPU rounds activations to int8 where weights are quantised.
   * @default 'auto'
   */
  readonly precision?: 'auto' | 'f32' | 'f16';
  /**
   * The CPU engine in a page keeps the weights of a quantised model as f32, so that it computes with exactly those, where all that it then
   * needs stays below so many bytes. Larger models are computed in int8. @default as model/cpu-memory.ts says
   */
  readonly expandBelow?: number;
  /** Longest context to allow for, in tokens. @default the model's, at most 4096 */
  readonly maxContext?: number;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds; a clock is passed in so that engine code reads no global time. */
  readonly now: () => number;
}
