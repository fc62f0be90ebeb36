import type { WebGpuHost } from '../src/engine/webgpu/host.ts';

/** Bytes in buffers of every device that a host's adapters gave, now and at most so far; and the largest buffer. */
export interface GpuBytes {
  now: number;
  peak: number;
  largest: number;
}

/** A host whose devices are watched: what the engine itself allocates on the GPU, by its own requests. */
export function countingHost(host: WebGpuHost): { host: WebGpuHost; bytes: GpuBytes } {
  const bytes: GpuBytes = { now: 0, peak: 0, largest: 0 };
  const watch = (device: GPUDevice): GPUDevice => {
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      bytes.now += descriptor.size;
      bytes.peak = Math.max(bytes.peak, bytes.now);
      bytes.largest = Math.max(bytes.largest, descriptor.size);
      const destroy = buffer.destroy.bind(buffer);
      let gone = false;
      buffer.destroy = () => {
        if (!gone) bytes.now -= descriptor.size;
        gone = true;
        return destroy();
      };
      return buffer;
    };
    return device;
  };
  const gpu = {
    requestAdapter: async (options?: GPURequestAdapterOptions) => {
      const adapter = await host.gpu.requestAdapter(options);
      if (!adapter) return null;
      const request = adapter.requestDevice.bind(adapter);
      adapter.requestDevice = async (descriptor) => watch(await request(descriptor));
      return adapter;
    },
  } as unknown as GPU;
  return { host: { ...host, gpu }, bytes };
}
