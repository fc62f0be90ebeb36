import type { KernelHost } from '../src/engine/onnx/kernels/products.ts';
import { relaxedSimd } from '../src/engine/onnx/kernels/relaxed-simd.ts';

/** More threads than this have not been seen to help with rows this short. */
const MOST_THREADS = 8;

/** Our own kernels in this browser. Threads need memory that is shared, which browsers give to isolated pages only. */
export function browserKernels(most = MOST_THREADS): KernelHost {
  return {
    relaxed: relaxedSimd(),
    mostThreads: self.crossOriginIsolated ? Math.max(1, Math.min(most, navigator.hardwareConcurrency)) : 1,
    start: (init) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL('./kernel.worker.ts', import.meta.url), { type: 'module', name: 'kernels' });
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.onmessage = () => resolve({ stop: () => worker.terminate() });
        worker.postMessage(init);
      }),
  };
}
