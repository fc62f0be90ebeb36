import { openDevice, DeviceHealth } from '../src/engine/webgpu/device.ts';
import type { Dispatch } from '../src/engine/webgpu/dispatch.ts';
import { Matmul, type Arithmetic, type MatvecForm } from '../src/engine/webgpu/matmul.ts';
import { Memory } from '../src/engine/webgpu/memory.ts';
import { Params } from '../src/engine/webgpu/params.ts';
import { Pipelines } from '../src/engine/webgpu/pipelines.ts';
import { Recorder, type Recorded } from '../src/engine/webgpu/recorder.ts';
import { matrixBytes, type Matrix, type WeightFormat } from '../src/engine/webgpu/weights.ts';
import { show, type Measurement } from './measurement.ts';
import { interleave, spread, type Spread } from './spread.ts';

export interface KernelsResult {
  /** Inputs and outputs of the matrix. */
  readonly size: number;
  readonly products: readonly {
    readonly format: WeightFormat;
    readonly arithmetic: Arithmetic;
    readonly rows: number;
    /** GFLOP/s, two operations a multiply-add, by form. */
    readonly forms: Readonly<Record<string, Spread>>;
  }[];
}

const forms: readonly MatvecForm[] = ['rows', 'subgroup', 'tree'];
const formats: readonly WeightFormat[] = ['f32', 'f16', 'q8', 'q4'];
const few = [1, 4, 8];
const many = [16, 128];

export const kernels: Measurement<KernelsResult> = {
  name: 'kernels',
  title: 'Forms of the matrix product side by side, GFLOP/s',
  of: 'device',
  columns: ['weights', 'arithmetic', 'rows', ...forms, 'tiled'],

  async run(bench) {
    const open = await openDevice(bench.host);
    const { device } = open;
    const software = open.adapter.kind === 'software';
    const health = new DeviceHealth(device);
    const memory = new Memory(device);
    const params = new Params(memory);
    const pipelines = new Pipelines(device, bench.host.shader);
    const recorder = new Recorder(device, pipelines, health);
    const size = bench.quick || software ? 1024 : 2048;
    const rounds = bench.quick ? 2 : Math.min(5, bench.rounds);
    const call = memory.make('call', 16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    const x = memory.storage('x', 128 * size * 4);
    const out = memory.storage('out', 128 * size * 4);
    const bias = memory.storage('bias', size * 4);
    const available = forms.filter((form) => form !== 'subgroup' || open.subgroups);
    const run = async (list: readonly Recorded[], rows: number): Promise<number> => {
      device.queue.writeBuffer(call, 0, new Uint32Array([rows, 0, 0, 0]));
      const start = performance.now();
      recorder.submit(list);
      await health.wait(device.queue.onSubmittedWorkDone());
      return performance.now() - start;
    };
    // Fast devices need many dispatches in a submit for a reading above the clock's grain.
    const repeated = async (dispatches: readonly Dispatch[], rows: number): Promise<() => Promise<number>> => {
      const one = await recorder.compile(dispatches);
      await run(one, rows);
      const count = Math.max(1, Math.min(256, Math.round(10 / Math.max(await run(one, rows), 0.001))));
      const list = Array.from({ length: count }, () => one).flat();
      return async () => (await run(list, rows)) / count;
    };
    try {
      const products: KernelsResult['products'][number][] = [];
      for (const format of formats) {
        const scaled = format === 'q4' || format === 'q8';
        const weights = memory.storage('weights', matrixBytes(format, size, size));
        const scales = scaled ? memory.storage('scales', (size * size) / 16) : null;
        const matrix: Matrix = { format, n: size, k: size, octets: size / 8, parts: [{ weights, scales, first: 0, count: size }], bias };
        const arithmetics: Arithmetic[] = open.f16 && format !== 'f32' ? ['f32', 'f16'] : ['f32'];
        for (const arithmetic of arithmetics) {
          const product = (form: MatvecForm, tiled: boolean, rows: number): Dispatch[] =>
            new Matmul(params, { few: form, many: form, tiled }, software).dispatches(
              matrix,
              rows,
              { call, x, out, outStride: size },
              arithmetic,
            );
          for (const rows of [...few, ...many]) {
            bench.say(`kernels: ${format}, ${arithmetic} arithmetic, ${rows} rows`);
            const arms: Record<string, () => Promise<number>> = {};
            // Forms that lose anyway take minutes with many rows on a software adapter.
            const wanted = software && rows > 8 ? available.filter((form) => form === 'rows') : available;
            for (const form of wanted) arms[form] = await repeated(product(form, false, rows), rows);
            if (rows > 8) arms.tiled = await repeated(product('rows', true, rows), rows);
            const samples = await interleave(arms, rounds);
            const rate = (ms: number): number => (2 * rows * size * size) / (ms / 1000) / 1e9;
            products.push({
              format,
              arithmetic,
              rows,
              forms: Object.fromEntries(Object.entries(samples).map(([form, times]) => [form, spread(times.map(rate))])),
            });
          }
        }
        memory.free(weights);
        if (scales) memory.free(scales);
      }
      return { size, products };
    } finally {
      memory.freeAll();
      device.destroy();
    }
  },

  rows: ({ products }) =>
    products.map((row) => [
      row.format,
      row.arithmetic,
      String(row.rows),
      ...[...forms, 'tiled'].map((form) => (row.forms[form] ? show(row.forms[form]) : '')),
    ]),
};
