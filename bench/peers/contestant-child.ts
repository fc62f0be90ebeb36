/** One contestant in a process of its own, which answers one turn at a time. Started by contestants.ts. */
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { nodeOnnxRuntime } from '../../runner/onnx-host.ts';
import { createOnnxEngine } from '../../src/engine/onnx/index.ts';
import { wasmRuntime } from '../../src/engine/onnx/wasm-runtime.ts';
import { createWebGpuEngine } from '../../src/engine/webgpu/index.ts';
import { openModel } from '../../src/model/model.ts';
import { openFolder } from '../../src/store/folder.ts';
import { testDevices } from '../../test/devices.ts';
import { takeTurn, type Contestant, type ContestantKind, type ContestantTask } from './contestant.ts';
import { builderFiles } from './builder-files.ts';
import { llamaCppContestant } from './llama-cpp-contestant.ts';
import { onnxRuntimeContestant } from './onnxruntime-contestant.ts';
import { tillerContestant } from './tiller-contestant.ts';
import { transformersContestant } from './transformers-contestant.ts';

/** Weights of every contestant are those of model.gguf, quantised already where they are to be. */
async function opened({ model, quantization }: ContestantTask) {
  const { spec, source } = await openModel(openFolder(model), undefined, 'model.gguf');
  return { spec, source, load: { quantization, now: () => performance.now() } };
}

const threaded = (threads: number | null): { threads?: number } => (threads === null ? {} : { threads });

const openers: Readonly<Partial<Record<ContestantKind, (task: ContestantTask) => Promise<Contestant>>>> = {
  async 'tiller-webgpu'(task) {
    const [device] = await testDevices();
    if (!device.host) throw new Error(device.skip ?? 'no device');
    const { spec, source, load } = await opened(task);
    return tillerContestant(await createWebGpuEngine(spec, source, device.host, load), 'Tiller, WebGPU in Node');
  },
  async 'tiller-onnx'(task) {
    const { spec, source, load } = await opened(task);
    const engine = await createOnnxEngine(spec, source, await nodeOnnxRuntime(), { ...load, ...threaded(task.threads) });
    return tillerContestant(engine, 'Tiller, ONNX engine in Node');
  },
  async 'tiller-wasm'(task) {
    const ort = await import('onnxruntime-web/wasm');
    const { spec, source, load } = await opened(task);
    const engine = await createOnnxEngine(spec, source, wasmRuntime(ort), load);
    return tillerContestant(engine, 'Tiller, ONNX engine in Node');
  },
  async 'onnxruntime-webgpu'({ model, quantization }) {
    const ort = await import('onnxruntime-node');
    const { kvHeads, headDim } = (await openModel(openFolder(model), undefined, 'model.gguf')).spec;
    const peer = { ...ort, detail: `onnxruntime-node ${ort.env.versions.common}, WebGPU provider` };
    return onnxRuntimeContestant(peer, join(model, 'onnx', builderFiles[quantization]), kvHeads, headDim);
  },
  async transformers(task) {
    const lib = await import('@huggingface/transformers');
    lib.env.localModelPath = dirname(task.model);
    return transformersContestant(lib, basename(task.model), task, 'cpu');
  },
  'llama-cpp': llamaCppContestant,
};

/** Most memory that this process has had, in bytes. */
function peakMemory(): number {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
  return line ? Number(line[1]) * 1024 : process.resourceUsage().maxRSS * 1024;
}

type Message = { readonly open: ContestantTask } | { readonly prompt: readonly number[]; readonly tokens: number };

let contestant: Contestant | null = null;

async function answer(message: Message): Promise<object> {
  if ('open' in message) {
    const start = performance.now();
    const opener = openers[message.open.kind];
    if (!opener) throw new Error(`${message.open.kind} does not run in Node`);
    contestant = await opener(message.open);
    return { detail: contestant.detail, notes: contestant.notes, loadMs: performance.now() - start };
  }
  if (!contestant) throw new Error('nothing is open');
  const turn = await takeTurn(contestant, message.prompt, message.tokens, () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  });
  return { ...turn, peak: peakMemory() };
}

process.on('message', (message: Message) => {
  answer(message)
    .catch((error: unknown) => ({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }))
    .then((reply) => process.send?.(reply))
    .catch(() => process.exit(1));
});
