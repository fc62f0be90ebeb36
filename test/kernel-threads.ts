import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { KernelHost } from '../src/engine/onnx/kernels/products.ts';
import { relaxedSimd } from '../src/engine/onnx/kernels/relaxed-simd.ts';

/** The kernels that the page has, in Node: on threads of this process. Node 20 has relaxed SIMD behind a flag. */
export function nodeKernels(mostThreads: number, relaxed = true): KernelHost {
  if (relaxed && !relaxedSimd()) setFlagsFromString('--experimental-wasm-relaxed-simd');
  return {
    relaxed,
    mostThreads,
    start: (init) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL('./kernel-thread.js', import.meta.url), { name: 'tiller kernels', workerData: init });
        // A thread that waits for work must not keep a process alive that is done.
        worker.unref();
        worker.once('error', reject);
        worker.once('message', () => resolve({ stop: () => void worker.terminate() }));
      }),
  };
}
