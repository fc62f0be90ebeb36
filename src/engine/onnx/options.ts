import type { LoadOptions } from '../options.ts';

/** What a person or a test may choose about this engine, besides what every engine takes. */
export interface OnnxOptions extends LoadOptions {
  /** Threads of a product. @default measured at load */
  readonly threads?: number;
}
