/** One device's measurements, in a process of its own: the Vulkan loader picks its driver once a process. Started by run.ts. */
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import type { Engine } from '../src/engine/engine.ts';
import { describeAdapter } from '../src/engine/webgpu/device.ts';
import { createWebGpuEngine } from '../src/engine/webgpu/index.ts';
import { parameterCount } from '../src/model/memory.ts';
import { openModel } from '../src/model/model.ts';
import type { Quantization } from '../src/model/weights.ts';
import { openFolder } from '../src/store/folder.ts';
import { testDevices } from '../test/devices.ts';
import { countingHost } from './gpu-bytes.ts';
import type { Bench } from './measurement.ts';
import { measurements } from './measurements.ts';
import type { BenchModel, Context, Measured, ResultFile, Run } from './results.ts';
import { versions } from './versions.ts';

export interface ChildTask {
  readonly folder: string;
  readonly quantization: Quantization;
  readonly quick: boolean;
  readonly only: readonly string[];
}

export interface ChildReport {
  /** Why nothing was measured; null when something was. */
  readonly skip: string | null;
  readonly head: Omit<ResultFile, 'runs'> | null;
  readonly runs: readonly Run[];
  readonly failures: readonly string[];
}

async function measure(task: ChildTask): Promise<ChildReport> {
  const [device] = await testDevices();
  if (!device.host) return { skip: device.skip, head: null, runs: [], failures: [] };
  const { host, bytes } = countingHost(device.host);
  const adapter = await host.gpu.requestAdapter(host.adapterOptions);
  if (!adapter) return { skip: 'no adapter', head: null, runs: [], failures: [] };
  const say = (line: string): void => void process.stderr.write(`${device.kind}: ${line}\n`);
  const files = await openModel(openFolder(task.folder));
  const load = { quantization: task.quantization, now: () => performance.now() };
  let engine: Promise<Engine> | null = null;
  const bench: Bench = {
    device: device.kind,
    host,
    gpuBytes: bytes,
    folder: task.folder,
    files,
    load,
    rounds: task.quick ? 3 : 7,
    quick: task.quick,
    engine: () => (engine ??= createWebGpuEngine(files.spec, files.source, host, load)),
    say,
  };

  const found = { device: {} as Record<string, Measured>, model: {} as Record<string, Measured> };
  const failures: string[] = [];
  for (const measurement of measurements) {
    if (task.only.length > 0 && !task.only.includes(measurement.name)) continue;
    say(measurement.name);
    const before = loadavg()[0];
    try {
      const result = await measurement.run(bench);
      const context: Context = {
        date: new Date().toISOString().slice(0, 10),
        versions,
        load: [before, loadavg()[0]],
        rounds: bench.rounds,
      };
      found[measurement.of][measurement.name] = { context, result };
    } catch (error) {
      failures.push(`${device.kind}, ${measurement.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  const runs: Run[] = [];
  if (Object.keys(found.device).length > 0) runs.push({ model: null, measurements: found.device });
  if (Object.keys(found.model).length > 0) {
    const { family, layers, heads } = files.spec;
    // What needs no engine of this process does not load one to say so: its arms state how they compute.
    const precision = engine ? (await bench.engine()).model.precision : 'f32';
    const { identity } = files.source;
    const parameters = parameterCount(files.spec);
    const model: BenchModel = { name: files.name, family, parameters, layers, heads, quantization: task.quantization, precision, identity };
    runs.push({ model, measurements: found.model });
  }
  if (engine) await (await bench.engine()).dispose();
  const machine = {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
  };
  return { skip: null, head: { adapter: describeAdapter(adapter), device: device.kind, machine }, runs, failures };
}

process.once('message', (task: ChildTask) => {
  measure(task)
    .catch((error: unknown): ChildReport => ({
      skip: null,
      head: null,
      runs: [],
      failures: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
    }))
    .then((report) => process.send?.(report, () => process.exit(0)))
    .catch(() => process.exit(1));
});
