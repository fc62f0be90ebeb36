import * as ort from 'onnxruntime-web/wasm';
import { productCost } from '../src/engine/onnx/threads.ts';
import { wasmRuntime, type WasmOptions } from '../src/engine/onnx/wasm-runtime.ts';
import type { ModelSpec } from '../src/model/spec.ts';

/** Answers one question: what a model's largest product costs with so many threads. */
export interface ThreadProbe {
  readonly spec: ModelSpec;
  readonly threads: number;
  readonly options: WasmOptions;
}

export interface ThreadProbeAnswer {
  readonly cost: number;
}

self.onmessage = ({ data: { spec, threads, options } }: MessageEvent<ThreadProbe>): void => {
  const runtime = wasmRuntime(ort, { ...options, threads: { count: threads, line: '' } });
  // In WebAssembly weights are f32, whatever they were.
  void productCost(runtime, spec, 'none', 0, threads, () => performance.now())
    .catch(() => Infinity)
    .then((cost) => self.postMessage({ cost } satisfies ThreadProbeAnswer));
};
