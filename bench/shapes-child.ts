/** One model of shapes.ts on one device. Started by it. */
import { loadavg } from 'node:os';
import type { GenerateSummary } from '../src/engine/engine.ts';
import { generate } from '../src/engine/webgpu/generate.ts';
import { loadCore } from '../src/engine/webgpu/load.ts';
import { matrixBytes, type Matrix } from '../src/engine/webgpu/weights.ts';
import { parameterCount } from '../src/model/memory.ts';
import { openModel } from '../src/model/model.ts';
import { publishedShape } from '../src/model/published.ts';
import type { ModelSpec } from '../src/model/spec.ts';
import type { Quantization, WeightSource } from '../src/model/weights.ts';
import { openFolder } from '../src/store/folder.ts';
import { testDevices } from '../test/devices.ts';
import { countingHost } from './gpu-bytes.ts';
import { promptIds } from './measurement.ts';
import { randomPackedSource } from './packed-source.ts';
import type { ShapeResult } from './shapes-result.ts';
import { compareSteering, showRatio } from './steering.ts';
import { versions } from './versions.ts';

export interface ShapeTask {
  readonly name: string;
  /** Null: random packed weights of a published shape, made while they are loaded. */
  readonly folder: string | null;
  readonly context: number;
  readonly quantization: Quantization;
  readonly steeringSeconds: number;
}

function packedShape({ name, quantization }: ShapeTask): { readonly spec: ModelSpec; readonly source: WeightSource } {
  const shape = publishedShape(name);
  if (!shape || quantization === 'none') throw new Error(`${name} is no published shape that is packed`);
  return { spec: shape.spec, source: randomPackedSource(shape.spec, quantization) };
}

const COPY_BYTES = 256 * 2 ** 20;
const COPIES = 9;

/** Bytes a second that the device reads and writes in a copy, the median of a few; of large buffers, so that no cache holds them. */
async function copyRate(device: GPUDevice): Promise<number> {
  const size = Math.min(COPY_BYTES, device.limits.maxBufferSize);
  const [from, to] = [GPUBufferUsage.COPY_SRC, GPUBufferUsage.COPY_DST].map((usage) => device.createBuffer({ size, usage }));
  const rates: number[] = [];
  for (let i = 0; i < COPIES; i++) {
    const start = performance.now();
    const encoder = device.createCommandEncoder();
    for (let n = 0; n < 4; n++) encoder.copyBufferToBuffer(from, 0, to, 0, size);
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    rates.push((2 * 4 * size) / ((performance.now() - start) / 1000));
  }
  from.destroy();
  to.destroy();
  return rates.sort((a, b) => a - b)[COPIES >> 1];
}

async function measure(task: ShapeTask): Promise<ShapeResult> {
  const [device] = await testDevices();
  if (!device.host) throw new Error(device.skip ?? 'no device');
  const { host, bytes } = countingHost(device.host);
  const before = loadavg()[0];
  const files = task.folder === null ? packedShape(task) : await openModel(openFolder(task.folder));
  const say = (line: string): void => void process.stderr.write(`${task.name}: ${line}\n`);

  const started = performance.now();
  let told = 0;
  const core = await loadCore(files.spec, files.source, host, {
    quantization: task.quantization,
    maxContext: task.context,
    now: () => performance.now(),
    onProgress: ({ stage, done, total, unit }) => {
      const share = Math.floor((10 * done) / total);
      if (stage !== 'upload' || share === told) return;
      told = share;
      say(`${stage} ${10 * share} % of ${total} ${unit}`);
    },
  });
  const loadMs = performance.now() - started;
  say(`loaded in ${(loadMs / 1000).toFixed(1)} s`);

  const prompt = promptIds(core.spec.vocab, 8, 0, core.spec.bosId);
  const tokens: number[] = [];
  const finish = async (maxTokens: number, keep = false): Promise<{ summary: GenerateSummary; first: number }> => {
    const begin = performance.now();
    const run = generate(core, { prompt, lanes: [{}], maxTokens, stop: [] });
    let first = 0;
    for (;;) {
      const next = await run.next();
      if (next.done) return { summary: next.value, first };
      first ||= performance.now() - begin;
      const step = next.value.lanes[0];
      if (keep && step) tokens.push(step.token);
    }
  };
  const two = await finish(2, true);
  say(`first token after ${(two.first / 1000).toFixed(2)} s, tokens ${tokens.join(' ')}`);
  const four = await finish(4);
  const again = await finish(2);
  const dispatches = (four.summary.timing.dispatches - again.summary.timing.dispatches) / 2;
  const submits = (four.summary.timing.submits - again.summary.timing.submits) / 2;
  const stepMs = four.summary.timing.decodeMs / four.summary.timing.decodedTokens;
  say(`${(stepMs / 1000).toFixed(2)} s a token, ${dispatches} dispatches, ${submits} submits`);

  const copyBytesPerSecond = await copyRate(core.device);
  const head =
    core.model.weights.head === core.model.weights.embed
      ? 0
      : matrixBytes(core.model.weights.embed.format, files.spec.vocab, files.spec.hidden);
  const readBytes = core.info.memory.weights - head;
  say(`reads ${(readBytes / stepMs / 1e6).toFixed(1)} GB/s, copies ${(copyBytesPerSecond / 1e9).toFixed(1)} GB/s`);

  const steering = task.steeringSeconds > 0 ? await compareSteering(core, 1, task.steeringSeconds, [48]) : null;
  for (const arm of steering?.arms ?? []) say(`${arm.name}: ${showRatio(arm.overhead)}, processor time ${showRatio(arm.processor)}`);

  const { weights } = core.model;
  const matrices: [string, Matrix][] = [
    ['embedding', weights.embed],
    ...(weights.head === weights.embed ? [] : ([['head', weights.head]] as [string, Matrix][])),
    ...(['qkv', 'o', 'gateUp', 'down'] as const).map((label): [string, Matrix] => [label, weights.layers[0][label]]),
  ];
  const result: ShapeResult = {
    name: task.name,
    quantization: task.quantization,
    adapter: core.info.adapter.name,
    parameters: parameterCount(files.spec),
    context: { date: new Date().toISOString().slice(0, 10), versions, load: [before, loadavg()[0]], rounds: 1 },
    bindingLimit: core.memory.bindingLimit,
    weightBytes: core.info.memory.weights,
    peakBytes: bytes.peak,
    largestBuffer: bytes.largest,
    residentBytes: process.resourceUsage().maxRSS * 1024,
    split: matrices
      .filter(([, matrix]) => matrix.parts.length > 1)
      .map(([label, matrix]) => ({ label, parts: matrix.parts.length, rows: matrix.parts.map((part) => part.count) })),
    loadMs,
    firstTokenMs: two.first,
    stepMs,
    readBytes,
    copyBytesPerSecond,
    dispatches,
    submits,
    tokens,
    kernels: core.info.kernels,
    steering,
  };
  core.health.close();
  core.device.destroy();
  return result;
}

process.once('message', (task: ShapeTask) => {
  measure(task)
    .then(
      (result) => ({ result, problem: null }),
      (error: unknown) => ({ result: null, problem: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    )
    .then((report) => process.send?.(report, () => process.exit(0)))
    .catch(() => process.exit(1));
});
