import type { LoadOptions } from '../options.ts';

/** What a person or a test may choose about this engine, besides what every engine takes. */
export interface OnnxOptions extends LoadOptions {
  /** Threads of a product. @default measured at load */
  readonly threads?: number;
  /** Most bytes of weights in one piece of the head. @default what an ONNX message holds, somewhat under 2 GiB */
  readonly headPieceBytes?: number;
}
