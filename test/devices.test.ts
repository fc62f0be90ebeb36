import { describe, expect, it } from 'vitest';
import { testDevices } from './devices.ts';

for (const device of await testDevices()) {
  describe.skipIf(device.skip !== null)(`device ${device.name}`, () => {
    it('makes a device and reads back what it copied', async () => {
      const host = device.host!;
      const adapter = await host.gpu.requestAdapter(host.adapterOptions);
      const gpu = await adapter!.requestDevice();
      const from = gpu.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
      const to = gpu.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      gpu.queue.writeBuffer(from, 0, new Float32Array([1, 2, 3, 4]));
      const encoder = gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(from, 0, to, 0, 16);
      gpu.queue.submit([encoder.finish()]);
      await to.mapAsync(GPUMapMode.READ);
      expect([...new Float32Array(to.getMappedRange().slice(0))]).toEqual([1, 2, 3, 4]);
      gpu.destroy();
    });
  });
}
