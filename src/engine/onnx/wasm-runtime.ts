import type { Env, InferenceSessionFactory, TensorConstructor } from 'onnxruntime-common';
import type { OnnxRuntime } from './runtime.ts';

/** What of onnxruntime-web is used; its `wasm` entry has all of it. */
export interface OnnxWeb {
  readonly env: Env;
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: TensorConstructor;
}

export interface WasmOptions {
  /** Threads of all sessions: more than 1 needs a cross-origin isolated page. Fixed once the first session is made. @default 1 */
  readonly threads?: number;
  /** Where the .wasm file lies, as onnxruntime-web takes it. @default beside its script */
  readonly wasmPaths?: Env.WebAssemblyFlags['wasmPaths'];
}

/**
 * ONNX Runtime in WebAssembly. Its kernels for quantised weights are five to ten times as slow as those for f32 with one row, and no
 * faster with many, so weights are expanded.
 */
export function wasmRuntime(ort: OnnxWeb, { threads = 1, wasmPaths }: WasmOptions = {}): OnnxRuntime {
  ort.env.wasm.numThreads = threads;
  if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
  const count = threads === 1 ? 'one thread' : `${threads} threads`;
  return {
    name: `onnxruntime-web ${ort.env.versions.web ?? ''} in WebAssembly, ${count}`,
    InferenceSession: ort.InferenceSession,
    Tensor: ort.Tensor,
    fillsOutputs: false,
    maxThreads: 1,
    weightsApart: true,
    expandsWeights: true,
  };
}
