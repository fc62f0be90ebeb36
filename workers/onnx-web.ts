import type { LoadProgress } from '../src/engine/engine.ts';
import type { OnnxRuntime, ThreadChoice } from '../src/engine/onnx/runtime.ts';
import { fastestThreads } from '../src/engine/onnx/threads.ts';
import { wasmRuntime, type WasmOptions } from '../src/engine/onnx/wasm-runtime.ts';
import { TillerError } from '../src/errors/error.ts';
import type { ModelSpec } from '../src/model/spec.ts';
import { browserKernels } from './kernel-threads.ts';
import type { ThreadProbe, ThreadProbeAnswer } from './thread-probe.worker.ts';
import glue from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';

/**
 * ONNX Runtime in this browser: the plain CPU build, the smallest there is, from the page's own server. Only ever imported when a model
 * is to run on it.
 */

/** More threads than this have not been seen to help with rows this short. */
const MOST_THREADS = 8;
const PROBE_MS = 30_000;

/** Of the .wasm file, put here by vite.config.ts: a server that compresses does not tell. */
declare const ORT_WASM_BYTES: number;

/** One WebAssembly memory serves all models that this worker loads, and its threads are those of the first. */
let loaded: Promise<OnnxRuntime> | null = null;

/** @throws network/failed, request/aborted */
export async function webOnnxRuntime(
  spec: ModelSpec,
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<OnnxRuntime> {
  loaded ??= load(spec, onProgress, signal);
  try {
    return await loaded;
  } catch (error) {
    loaded = null;
    throw error;
  }
}

async function load(spec: ModelSpec, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<OnnxRuntime> {
  const [ort, wasmBinary] = await Promise.all([import('onnxruntime-web/wasm'), download(onProgress, signal)]);
  const options: WasmOptions = { wasmPaths: { mjs: new URL(glue, self.location.href).href }, wasmBinary };
  return wasmRuntime(ort, { ...options, threads: await chooseThreads(spec, options, onProgress), kernels: browserKernels() });
}

async function download(onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<ArrayBuffer> {
  const url = new URL(wasm, self.location.href).href;
  const report = (done: number): void => onProgress({ stage: 'engine', done, total: ORT_WASM_BYTES, unit: 'bytes' });
  try {
    const response = await fetch(url, { signal });
    if (!response.ok || !response.body) throw new TillerError('network/failed', { url, problem: `the server answered ${response.status}` });
    const bytes = new Uint8Array(ORT_WASM_BYTES);
    let done = 0;
    report(0);
    for await (const part of response.body) {
      bytes.set(part, done);
      done += part.length;
      report(done);
    }
    if (done !== bytes.length)
      throw new TillerError('network/failed', { url, problem: `it has ${done} bytes and should have ${bytes.length}` });
    return bytes.buffer;
  } catch (cause) {
    if (signal.aborted) throw new TillerError('request/aborted', {}, { cause });
    if (cause instanceof TillerError) throw cause;
    throw new TillerError('network/failed', { url, problem: cause instanceof Error ? cause.message : String(cause) }, { cause });
  }
}

/** Threads need memory that is shared, which browsers give to isolated pages only. */
async function chooseThreads(spec: ModelSpec, options: WasmOptions, onProgress: (progress: LoadProgress) => void): Promise<ThreadChoice> {
  if (!self.crossOriginIsolated) return { count: 1, line: 'one thread: the page is not cross-origin isolated' };
  const most = Math.min(MOST_THREADS, navigator.hardwareConcurrency);
  if (most <= 1) return { count: 1, line: 'one thread: there is one core' };
  return fastestThreads(most, (threads) => {
    onProgress({ stage: 'threads', done: 0, total: 1, unit: 'steps' });
    return probe({ spec, threads, options });
  });
}

/** A number of threads is a WebAssembly instance's for good, so each is tried in a worker that is thrown away. */
function probe(question: ThreadProbe): Promise<number> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL('./thread-probe.worker.ts', import.meta.url), { type: 'module', name: 'thread probe' });
    const end = (cost: number): void => {
      clearTimeout(timer);
      worker.terminate();
      resolve(cost);
    };
    // What cannot be measured is not taken.
    const timer = setTimeout(() => end(Infinity), PROBE_MS);
    worker.onerror = () => end(Infinity);
    worker.onmessage = ({ data }: MessageEvent<ThreadProbeAnswer>) => end(data.cost);
    worker.postMessage(question);
  });
}
