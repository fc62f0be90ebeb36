import type { LoadOptions } from '../options.ts';
import type { AccuracyLevel } from './matrix.ts';

/** What a person or a test may choose about this engine, besides what every engine takes. */
export interface OnnxOptions extends LoadOptions {
  /** Threads of a product. @default measured at load */
  readonly threads?: number;
  /**
   * Of products with quantised weights: 0 computes in f32 with exactly these weights; 4 also rounds activations to int8, in blocks of 32.
   * @default 0
   */
  readonly accuracyLevel?: AccuracyLevel;
}
