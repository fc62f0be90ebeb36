/** One model of shapes.ts on one device. Started by it. */
import { loadavg } from 'node:os';
import type { GenerateRequest, GenerateSummary } from '../src/engine/engine.ts';
import { generate } from '../src/engine/webgpu/generate.ts';
import { loadCore } from '../src/engine/webgpu/load.ts';
import type { Matrix } from '../src/engine/webgpu/weights.ts';
import { parameterCount } from '../src/model/memory.ts';
import { openModel } from '../src/model/model.ts';
import type { Quantization } from '../src/model/weights.ts';
import { openFolder } from '../src/store/folder.ts';
import { testDevices } from '../test/devices.ts';
import { countingHost } from './gpu-bytes.ts';
import { promptIds } from './measurement.ts';
import type { ShapeResult } from './shapes-result.ts';
import { interleave, ratios } from './spread.ts';
import { headGraph } from './steering.ts';
import { versions } from './versions.ts';

export interface ShapeTask {
  readonly name: string;
  readonly folder: string;
  readonly quantization: Quantization;
  readonly steeringRounds: number;
}

async function measure(task: ShapeTask): Promise<ShapeResult> {
  const [device] = await testDevices();
  if (!device.host) throw new Error(device.skip ?? 'no device');
  const { host, bytes } = countingHost(device.host);
  const before = loadavg()[0];
  const files = await openModel(openFolder(task.folder));
  const say = (line: string): void => void process.stderr.write(`${task.name}: ${line}\n`);

  const started = performance.now();
  let told = 0;
  const core = await loadCore(files.spec, files.source, host, {
    quantization: task.quantization,
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
  const finish = async (
    request: Partial<GenerateRequest>,
    keep = false,
  ): Promise<{ summary: GenerateSummary; cpu: number; first: number }> => {
    const begin = performance.now();
    const run = generate(core, { prompt, lanes: [{}], maxTokens: 2, stop: [], ...request });
    let cpu = process.cpuUsage();
    let first = 0;
    for (;;) {
      const next = await run.next();
      if (next.done) {
        const used = process.cpuUsage(cpu);
        return { summary: next.value, cpu: (used.user + used.system) / 1000, first };
      }
      if (first === 0) {
        first = performance.now() - begin;
        cpu = process.cpuUsage();
      }
      const step = next.value.lanes[0];
      if (keep && step) tokens.push(step.token);
    }
  };
  const two = await finish({ maxTokens: 2 }, true);
  say(`first token after ${(two.first / 1000).toFixed(2)} s, tokens ${tokens.join(' ')}`);
  const four = await finish({ maxTokens: 4 });
  const again = await finish({ maxTokens: 2 });
  const dispatches = (four.summary.timing.dispatches - again.summary.timing.dispatches) / 2;
  const submits = (four.summary.timing.submits - again.summary.timing.submits) / 2;
  const stepMs = four.summary.timing.decodeMs / four.summary.timing.decodedTokens;
  say(`${(stepMs / 1000).toFixed(2)} s a token, ${dispatches} dispatches, ${submits} submits`);

  let steering: ShapeResult['steering'] = null;
  let steeringProcessor: ShapeResult['steering'] = null;
  if (task.steeringRounds > 0) {
    const graph = headGraph(core.info, 48);
    const arm = (request: Partial<GenerateRequest>) => async () => {
      const { summary, cpu } = await finish({ maxTokens: 4, ...request });
      return { wall: summary.timing.decodeMs, cpu };
    };
    const samples = await interleave({ none: arm({}), many: arm({ graph, lanes: [{ strengths: { '*': 1 } }] }) }, task.steeringRounds);
    const of = (name: 'none' | 'many', key: 'wall' | 'cpu'): number[] => samples[name].map((sample) => sample[key]);
    steering = ratios(of('many', 'wall'), of('none', 'wall'));
    steeringProcessor = ratios(of('many', 'cpu'), of('none', 'cpu'));
    say(`48 heads: ${JSON.stringify(steering)}, processor ${JSON.stringify(steeringProcessor)}`);
  }

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
    context: { date: new Date().toISOString().slice(0, 10), versions, load: [before, loadavg()[0]], rounds: task.steeringRounds },
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
    dispatches,
    submits,
    tokens,
    kernels: core.info.kernels,
    steering,
    steeringProcessor,
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
