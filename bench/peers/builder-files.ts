import type { Quantization } from '../../src/model/weights.ts';

/** File under onnx/ of a transformers.js folder for each way of keeping weights. */
export const builderFiles: Readonly<Record<Quantization, string>> = { none: 'model.onnx', q8: 'model_quantized.onnx', q4: 'model_q4.onnx' };
