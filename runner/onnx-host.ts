import { availableParallelism } from 'node:os';
import type { OnnxRuntime } from '../src/engine/onnx/runtime.ts';
import { TillerError } from '../src/errors/error.ts';

/**
 * ONNX Runtime in Node, on the CPU.
 * @throws request/engine where the package has no binary for this platform
 */
export async function nodeOnnxRuntime(): Promise<OnnxRuntime> {
  const ort = await import('onnxruntime-node').catch((cause: unknown) => {
    const reason = `ONNX Runtime does not load on ${process.platform}-${process.arch}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new TillerError('request/engine', { engine: 'onnx', reason }, { cause });
  });
  return {
    name: `onnxruntime-node ${ort.env.versions.common} on the CPU`,
    InferenceSession: ort.InferenceSession,
    Tensor: ort.Tensor,
    fillsOutputs: true,
    maxThreads: availableParallelism(),
    memory: null,
    weightsApart: false,
    expandsWeights: false,
    // Its kernels use wider vectors than WebAssembly has.
    kernels: null,
  };
}
