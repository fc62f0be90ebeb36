import type { DeviceHealth } from './device.ts';
import type { TuningStore } from './host.ts';
import { Matmul, matvecVariant, type Arithmetic, type MatmulChoice, type MatvecForm } from './matmul.ts';
import { Memory } from './memory.ts';
import { Params } from './params.ts';
import type { Pipelines } from './pipelines.ts';
import { Recorder } from './recorder.ts';
import { matrixBytes, type Matrix, type WeightFormat } from './weights.ts';

/** What the measurement at load found. */
export interface Tuning {
  readonly choice: MatmulChoice;
  /** Multiply-adds a second of the chosen form with one row: the yardstick for cutting work into submits. */
  readonly rate: number;
  /** For people: one line for each number of rows. */
  readonly lines: readonly string[];
}

export interface TuneOptions {
  readonly device: GPUDevice;
  readonly health: DeviceHealth;
  readonly pipelines: Pipelines;
  readonly subgroups: boolean;
  readonly software: boolean;
  readonly format: WeightFormat;
  readonly arithmetic: Arithmetic;
  readonly adapter: string;
  readonly store: TuningStore | undefined;
  readonly now: () => number;
}

/** A matrix of the size of a small model's projection: large enough to fill a GPU, small enough for a software adapter. */
const SIZE = 1024;
const REPEATS = 3;
/** Bump when kernels change, so that remembered choices are measured again. */
const VERSION = 2;

/**
 * Forms worth timing. On software adapters reductions between invocations always lose, by two to five times in every
 * measurement (docs/benchmarks.md), and compiling the losers costs seconds there.
 */
const candidates = (options: TuneOptions): readonly MatvecForm[] => {
  if (options.software) return ['rows'];
  return options.subgroups ? ['subgroup', 'rows', 'tree'] : ['rows', 'tree'];
};

/**
 * Times the forms of the matrix-vector product on this device and takes the fastest, for one row of the batch and for four.
 * Forms differ by an order of magnitude between adapters, so this is measured, not guessed, and remembered per adapter.
 */
export async function tune(options: TuneOptions): Promise<Tuning> {
  const { device, pipelines, store, now } = options;
  const key = `tiller-tuning-${VERSION}|${options.adapter}|${options.format}|${options.arithmetic}|${options.subgroups}`;
  const remembered = parseTuning((await store?.read(key)) ?? null);
  if (remembered) return remembered;

  const forms = candidates(options);
  const memory = new Memory(device);
  const params = new Params(memory);
  const recorder = new Recorder(device, pipelines, options.health);
  try {
    const weights = memory.storage('tuning weights', matrixBytes(options.format, SIZE, SIZE));
    const scaled = options.format === 'q4' || options.format === 'q8';
    const matrix: Matrix = {
      format: options.format,
      n: SIZE,
      k: SIZE,
      octets: SIZE / 8,
      parts: [{ weights, scales: scaled ? memory.storage('tuning scales', (SIZE * SIZE) / 16) : null, first: 0, count: SIZE }],
      bias: memory.storage('tuning bias', SIZE * 4),
    };
    const call = memory.make('tuning call', 16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    const x = memory.storage('tuning x', 8 * SIZE * 4);
    const out = memory.storage('tuning out', 8 * SIZE * 4);
    const sizes = forms.length > 1 ? ([1, 4] as const) : ([1] as const);
    await pipelines.prepare(
      forms.flatMap((form) => sizes.map((m) => matvecVariant(form, options.format, options.arithmetic, m, null, options.software).variant)),
    );

    const time = async (form: MatvecForm, rows: 1 | 4): Promise<number> => {
      const matmul = new Matmul(params, { few: form, many: form, tiled: true }, options.software);
      device.queue.writeBuffer(call, 0, new Uint32Array([rows, 0, 0, 0]));
      const one = recorder.record(matmul.dispatches(matrix, rows, { call, x, out, outStride: SIZE }, options.arithmetic));
      let best = Number.POSITIVE_INFINITY;
      let count = 1;
      for (let repeat = 0; repeat < REPEATS; repeat += 1) {
        const list = Array.from({ length: count }, () => one[0]);
        const start = now();
        recorder.submit(list);
        await options.health.wait(device.queue.onSubmittedWorkDone());
        const elapsed = Math.max(now() - start, 0.001);
        // The first submit pays for start-up; fast devices then need many dispatches for a reading above the clock's grain.
        if (repeat > 0) best = Math.min(best, elapsed / count);
        if (repeat === 0) count = Math.max(1, Math.min(64, Math.round(10 / elapsed)));
      }
      return best;
    };

    const pick = async (rows: 1 | 4): Promise<{ form: MatvecForm; ms: number; line: string }> => {
      const timed: { form: MatvecForm; ms: number }[] = [];
      for (const form of forms) timed.push({ form, ms: await time(form, rows) });
      timed.sort((a, b) => a.ms - b.ms);
      const line = `${rows} row${rows > 1 ? 's' : ''}: ${timed.map(({ form, ms }) => `${form} ${ms.toFixed(3)} ms`).join(', ')}`;
      return { ...timed[0], line };
    };
    const few = await pick(1);
    const many = forms.length > 1 ? await pick(4) : { form: few.form, line: `4 rows: ${few.form}` };
    const tuning: Tuning = {
      choice: { few: few.form, many: many.form, tiled: !options.software },
      rate: (SIZE * SIZE) / (few.ms / 1000),
      lines: [few.line, many.line],
    };
    await store?.write(key, JSON.stringify(tuning));
    return tuning;
  } finally {
    memory.freeAll();
  }
}

const isForm = (value: unknown): value is MatvecForm => value === 'rows' || value === 'subgroup' || value === 'tree';

/** What was remembered, if it still makes sense: it comes from outside. */
function parseTuning(text: string | null): Tuning | null {
  if (text === null) return null;
  try {
    const value = JSON.parse(text) as Partial<Tuning> | null;
    const { few, many, tiled } = value?.choice ?? {};
    if (
      isForm(few) &&
      isForm(many) &&
      typeof tiled === 'boolean' &&
      typeof value?.rate === 'number' &&
      value.rate > 0 &&
      Array.isArray(value.lines)
    ) {
      return { choice: { few, many, tiled }, rate: value.rate, lines: value.lines.map(String) };
    }
  } catch {
    // Damaged: measured again.
  }
  return null;
}
