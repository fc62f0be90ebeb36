import { openDevice } from '../src/engine/webgpu/device.ts';
import { number, show, type Measurement } from './measurement.ts';
import { interleave, spread, type Spread } from './spread.ts';

export interface BandwidthResult {
  readonly bytes: number;
  /** Bytes a second, reading and writing counted: a copy of n bytes moves 2n. */
  readonly copy: Spread;
  /** Milliseconds: an empty submit until the device has done it, and a read-back of four bytes. */
  readonly submit: Spread;
  readonly readBack: Spread;
}

export const bandwidth: Measurement<BandwidthResult> = {
  name: 'bandwidth',
  title: 'The device: copying, submitting, reading back',
  of: 'device',
  columns: ['copy of', 'GB/s, read and written', 'submit, ms', 'read-back of 4 bytes, ms'],

  async run(bench) {
    const { device } = await openDevice(bench.host);
    const size = Math.min(128 * 2 ** 20, device.limits.maxBufferSize);
    const make = (bytes: number, usage: number): GPUBuffer => device.createBuffer({ size: bytes, usage });
    const source = make(size, GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST);
    const target = make(size, GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC);
    const submit = async (bytes: number): Promise<number> => {
      const start = performance.now();
      const encoder = device.createCommandEncoder();
      if (bytes > 0) encoder.copyBufferToBuffer(source, 0, target, 0, bytes);
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      return performance.now() - start;
    };
    const readBack = async (): Promise<number> => {
      const start = performance.now();
      const staging = make(8, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(source, 0, staging, 0, 8);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const elapsed = performance.now() - start;
      staging.destroy();
      return elapsed;
    };
    try {
      const samples = await interleave({ copy: () => submit(size), empty: () => submit(0), readBack }, bench.rounds + 4);
      return {
        bytes: size,
        copy: spread(samples.copy.map((ms) => (2 * size) / (ms / 1000))),
        submit: spread(samples.empty),
        readBack: spread(samples.readBack),
      };
    } finally {
      device.destroy();
    }
  },

  rows: (result) => [
    [
      `${number(result.bytes / 2 ** 20)} MiB`,
      show({ ...result.copy, median: result.copy.median / 1e9, low: result.copy.low / 1e9, high: result.copy.high / 1e9 }),
      show(result.submit),
      show(result.readBack),
    ],
  ],
};
