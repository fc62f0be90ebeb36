/** One contestant in a worker of a page. The server of browser-contestant.ts gives the files. */
import { expose } from 'comlink';
import { createOnnxEngine } from '../../../src/engine/onnx/index.ts';
import { wasmRuntime } from '../../../src/engine/onnx/wasm-runtime.ts';
import { createWebGpuEngine } from '../../../src/engine/webgpu/index.ts';
import { openModel, type ModelFiles } from '../../../src/model/model.ts';
import type { FileAccess } from '../../../src/model/files.ts';
import { browserKernels } from '../../../workers/kernel-threads.ts';
import { takeTurn, type Contestant, type ContestantKind, type ContestantTask, type Turn } from '../contestant.ts';
import { builderFiles } from '../builder-files.ts';
import { onnxRuntimeContestant } from '../onnxruntime-contestant.ts';
import { tillerContestant } from '../tiller-contestant.ts';
import { transformersContestant } from '../transformers-contestant.ts';
import { wllamaContestant } from '../wllama-contestant.ts';

const shaders = import.meta.glob<string>('../../../shaders/*.wgsl', { query: '?raw', import: 'default', eager: true });

async function bytesOf(address: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** model.gguf of the server, in memory: how fast files come is not measured. */
async function opened(model: string): Promise<ModelFiles> {
  const bytes = await bytesOf(`${model}/model.gguf`);
  const files: FileAccess = {
    name: 'model',
    size: async (path) => (path === 'model.gguf' ? bytes.length : null),
    read: async (_path, start, end) => bytes.slice(start, end),
  };
  return openModel(files, undefined, 'model.gguf');
}

const now = (): number => performance.now();
const absolute = (path: string): string => new URL(path, location.origin).href;

const openers: Readonly<Partial<Record<ContestantKind, (task: ContestantTask) => Promise<Contestant>>>> = {
  async 'tiller-webgpu'({ model, quantization }) {
    const { spec, source } = await opened(model);
    const shader = (name: string): string => shaders[`../../../shaders/${name}.wgsl`];
    return tillerContestant(
      await createWebGpuEngine(spec, source, { gpu: navigator.gpu, shader }, { quantization, now }),
      'Tiller, WebGPU',
    );
  },
  async 'tiller-wasm'({ model, quantization, threads }) {
    const ort = await import('onnxruntime-web/wasm');
    const { spec, source } = await opened(model);
    const chosen = { count: threads ?? 1, line: `${threads ?? 1} threads, as asked for` };
    const kernels = browserKernels(chosen.count);
    const runtime = wasmRuntime(ort, { threads: chosen, wasmPaths: absolute('/ort/'), kernels });
    return tillerContestant(await createOnnxEngine(spec, source, runtime, { quantization, now }), 'Tiller, ONNX engine');
  },
  async 'onnxruntime-webgpu'({ model, quantization }) {
    const ort = await import('onnxruntime-web/webgpu');
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = absolute('/ort/');
    const { kvHeads, headDim } = (await opened(model)).spec;
    const peer = { ...ort, detail: `onnxruntime-web ${ort.env.versions.web}, WebGPU provider` };
    return onnxRuntimeContestant(peer, await bytesOf(`${model}/onnx/${builderFiles[quantization]}`), kvHeads, headDim);
  },
  async transformers(task) {
    const lib = await import('@huggingface/transformers');
    const { wasm } = lib.env.backends.onnx;
    if (wasm) {
      wasm.numThreads = task.threads ?? 1;
      wasm.wasmPaths = absolute('/transformers/');
    }
    lib.env.useBrowserCache = false;
    lib.env.localModelPath = absolute('/');
    return transformersContestant(lib, task.model.replace(/^\//, ''), task, 'wasm');
  },
  wllama: ({ model, threads }) => wllamaContestant(absolute('/wllama.wasm'), () => bytesOf(`${model}/model.gguf`), threads ?? 1),
};

let contestant: Contestant | null = null;

const page = {
  async open(task: ContestantTask): Promise<{ detail: string; notes: readonly string[]; loadMs: number }> {
    const start = performance.now();
    const opener = openers[task.kind];
    if (!opener) throw new Error(`${task.kind} does not run in a page`);
    contestant = await opener(task);
    return { detail: contestant.detail, notes: contestant.notes, loadMs: performance.now() - start };
  },
  async turn(prompt: readonly number[], tokens: number): Promise<Turn> {
    if (!contestant) throw new Error('nothing is open');
    return takeTurn(contestant, prompt, tokens);
  },
};
export type PageContestant = typeof page;
expose(page);
