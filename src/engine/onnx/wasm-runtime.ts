import type { Env, InferenceSessionFactory, TensorConstructor } from 'onnxruntime-common';
import { WASM_MEMORY } from '../../model/cpu-memory.ts';
import type { KernelHost } from './kernels/products.ts';
import type { OnnxRuntime, ThreadChoice } from './runtime.ts';

/** What of onnxruntime-web is used; its `wasm` entry has all of it. */
export interface OnnxWeb {
  readonly env: Env;
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: TensorConstructor;
}

export interface WasmOptions {
  /** Threads of all sessions: more than 1 needs a cross-origin isolated page. Fixed once the first session is made. @default one */
  readonly threads?: ThreadChoice;
  /** Where script and .wasm file lie, as onnxruntime-web takes it. @default beside its script */
  readonly wasmPaths?: Env.WebAssemblyFlags['wasmPaths'];
  /** The .wasm file, where it has been read already. */
  readonly wasmBinary?: ArrayBuffer;
  /** @default none: ONNX Runtime computes all products */
  readonly kernels?: KernelHost;
}

/**
 * ONNX Runtime in WebAssembly. Its kernels for quantised weights are five to ten times as slow as those for f32 with one row, and no
 * faster with many, so weights are expanded.
 */
export function wasmRuntime(ort: OnnxWeb, { threads, wasmPaths, wasmBinary, kernels }: WasmOptions = {}): OnnxRuntime {
  const count = threads?.count ?? 1;
  ort.env.wasm.numThreads = count;
  if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
  if (wasmBinary !== undefined) ort.env.wasm.wasmBinary = wasmBinary;
  return {
    name: `onnxruntime-web ${ort.env.versions.web ?? ''} in WebAssembly, ${count === 1 ? 'one thread' : `${count} threads`}`,
    InferenceSession: ort.InferenceSession,
    Tensor: ort.Tensor,
    fillsOutputs: false,
    maxThreads: 1,
    ...(threads ? { threads } : {}),
    memory: WASM_MEMORY,
    weightsApart: true,
    expandsWeights: true,
    kernels: kernels ?? null,
  };
}
