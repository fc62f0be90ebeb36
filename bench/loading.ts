import { createWebGpuEngine } from '../src/engine/webgpu/index.ts';
import type { TuningStore } from '../src/engine/webgpu/host.ts';
import { openModel } from '../src/model/model.ts';
import { openFolder } from '../src/store/folder.ts';
import { finish, lengths } from './decode.ts';
import { number, promptIds, show, type Measurement } from './measurement.ts';
import { interleave, spread, type Spread } from './spread.ts';

export interface LoadingResult {
  /** Milliseconds to open the folder (configuration, headers, tokenizer). */
  readonly open: Spread;
  /** Milliseconds from there to an engine that has run its first pass; kernels measured, and remembered from an earlier load. */
  readonly first: Spread;
  readonly remembered: Spread;
  readonly kernels: readonly string[];
  /** Bytes of GPU buffers: weights, and the most there were while loading and answering one request. */
  readonly weightBytes: number;
  readonly peakBytes: number;
  /** Most resident bytes of the process so far; before the engine. A software driver's "GPU" memory is in there, too. */
  readonly residentBytes: number;
  readonly residentBefore: number;
}

const memoryStore = (): TuningStore => {
  const values = new Map<string, string>();
  return {
    read: async (key) => values.get(key) ?? null,
    write: async (key, value) => void values.set(key, value),
  };
};

/** Comes first in a process: the peak of memory cannot be taken back. */
export const loading: Measurement<LoadingResult> = {
  name: 'loading',
  title: 'Loading and memory',
  of: 'model',
  columns: [
    'opening, ms',
    'loading, kernels measured, ms',
    'loading, kernels remembered, ms',
    'weights, MiB',
    'GPU peak, MiB',
    'process peak, MiB',
  ],

  async run(bench) {
    const { files, load, gpuBytes } = bench;
    const resident = (): number => process.resourceUsage().maxRSS * 1024;
    const residentBefore = resident();
    const engine = await bench.engine();
    const { prompt, tokens } = await lengths(bench, engine);
    const ids = promptIds(engine.model.vocab, prompt, 0, files.spec.bosId);
    await finish(engine, { prompt: ids, maxTokens: tokens, stop: [] });
    const peakBytes = gpuBytes.peak;
    const residentBytes = resident();

    const store = memoryStore();
    const timeLoad = async (tuning: TuningStore): Promise<number> => {
      const start = performance.now();
      const made = await createWebGpuEngine(files.spec, files.source, { ...bench.host, tuning }, load);
      const elapsed = performance.now() - start;
      await made.dispose();
      return elapsed;
    };
    await timeLoad(store);
    const samples = await interleave(
      {
        open: async () => {
          const start = performance.now();
          await openModel(openFolder(bench.folder));
          return performance.now() - start;
        },
        first: () => timeLoad(memoryStore()),
        remembered: () => timeLoad(store),
      },
      Math.max(1, Math.floor(bench.rounds / 3)),
    );
    return {
      open: spread(samples.open),
      first: spread(samples.first),
      remembered: spread(samples.remembered),
      kernels: engine.model.kernels,
      weightBytes: engine.model.memory.weights,
      peakBytes,
      residentBytes,
      residentBefore,
    };
  },

  rows: (result) => [
    [
      show(result.open),
      show(result.first),
      show(result.remembered),
      ...[result.weightBytes, result.peakBytes, result.residentBytes].map((bytes) => number(bytes / 2 ** 20)),
    ],
  ],
};
