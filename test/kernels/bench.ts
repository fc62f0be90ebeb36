import { afterAll, beforeAll, describe } from 'vitest';
import type { Dispatch } from '../../src/engine/webgpu/dispatch.ts';
import { Pipelines, type KernelVariant } from '../../src/engine/webgpu/pipelines.ts';
import type { TestDevice } from '../devices.ts';

/** What a test runs kernels with: buffers in, dispatches, buffers out. A validation error fails the run that caused it. */
export interface KernelBench {
  readonly device: GPUDevice;
  readonly has: (feature: GPUFeatureName) => boolean;
  /** The adapter computes on the CPU. */
  readonly software: boolean;
  /** A storage buffer with this content (at least 16 bytes). */
  storage(data: ArrayBufferView<ArrayBuffer>): GPUBuffer;
  /** A storage buffer of `bytes` zeros. */
  empty(bytes: number): GPUBuffer;
  uniform(data: ArrayBuffer | ArrayBufferView<ArrayBuffer>): GPUBuffer;
  /** Runs dispatches in order, in one submit. */
  run(dispatches: readonly Dispatch[]): Promise<void>;
  /** One dispatch of a variant. */
  dispatch(variant: KernelVariant, buffers: readonly GPUBuffer[], workgroups: readonly [number, number, number]): Promise<void>;
  read(buffer: GPUBuffer): Promise<ArrayBuffer>;
  readF32(buffer: GPUBuffer): Promise<Float32Array>;
  readU32(buffer: GPUBuffer): Promise<Uint32Array>;
}

/**
 * A suite on every device of the process, each with a bench that is there once tests run and destroyed after them.
 * @param texts kernels of the test itself, by name, beside those in shaders/
 */
export function describeKernels(
  name: string,
  devices: readonly TestDevice[],
  tests: (bench: () => KernelBench) => void,
  texts: Readonly<Record<string, string>> = {},
): void {
  for (const device of devices) {
    describe.skipIf(device.skip !== null)(`${name} on ${device.name}${device.skip === null ? '' : `: ${device.skip}`}`, () => {
      let bench: KernelBench | null = null;
      beforeAll(async () => {
        bench = await kernelBench(device, texts);
      });
      afterAll(() => bench?.device.destroy());
      tests(() => bench!);
    });
  }
}

async function kernelBench(testDevice: TestDevice, texts: Readonly<Record<string, string>>): Promise<KernelBench> {
  const host = testDevice.host!;
  const adapter = (await host.gpu.requestAdapter(host.adapterOptions))!;
  const wanted: GPUFeatureName[] = ['shader-f16', 'subgroups'];
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits: {
      maxBufferSize: adapter.limits.maxBufferSize,
      maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
    },
  });
  const pipelines = new Pipelines(device, (name) => texts[name] ?? host.shader(name));

  const create = (size: number, usage: number): GPUBuffer => device.createBuffer({ size: Math.max(16, Math.ceil(size / 4) * 4), usage });
  const bench: KernelBench = {
    device,
    has: (feature) => device.features.has(feature),
    software: testDevice.kind !== 'hardware',
    storage(data) {
      const buffer = create(data.byteLength, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST);
      device.queue.writeBuffer(buffer, 0, data);
      return buffer;
    },
    empty: (bytes) => create(bytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST),
    uniform(data) {
      const buffer = create(data.byteLength, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
      device.queue.writeBuffer(buffer, 0, data);
      return buffer;
    },
    async run(dispatches) {
      const kernels = await Promise.all(dispatches.map(({ variant }) => pipelines.require(variant)));
      device.pushErrorScope('validation');
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      dispatches.forEach(({ bindings, workgroups }, i) => {
        const { pipeline } = kernels[i];
        pass.setPipeline(pipeline);
        const entries = bindings.flatMap((resource, binding) => (resource ? [{ binding, resource }] : []));
        pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
        pass.dispatchWorkgroups(...workgroups);
      });
      pass.end();
      device.queue.submit([encoder.finish()]);
      const error = await device.popErrorScope();
      if (error) throw new Error(error.message);
    },
    dispatch: (variant, buffers, workgroups) =>
      bench.run([{ variant, bindings: buffers.map((buffer) => ({ buffer })), workgroups, cost: 0 }]),
    async read(buffer) {
      const staging = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const bytes = staging.getMappedRange().slice(0);
      staging.destroy();
      return bytes;
    },
    readF32: async (buffer) => new Float32Array(await bench.read(buffer)),
    readU32: async (buffer) => new Uint32Array(await bench.read(buffer)),
  };
  return bench;
}
