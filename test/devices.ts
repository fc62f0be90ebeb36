import { nodeWebGpuHost } from '../runner/webgpu-host.ts';
import type { WebGpuHost } from '../src/engine/webgpu/host.ts';
import { deviceKinds, vulkanManifest, type DeviceKind } from './vulkan.ts';

export interface TestDevice {
  readonly name: string;
  readonly kind: DeviceKind;
  /** Null where the device is not there; `skip` says why. */
  readonly host: WebGpuHost | null;
  readonly skip: string | null;
}

/**
 * The devices this process can test on. The Vulkan loader picks its drivers once a process, so there is one: the one that
 * TILLER_TEST_DEVICE names, lavapipe by default. `npm test` runs the GPU tests once for each. Needs vitest's `forks` pool.
 */
export async function testDevices(): Promise<TestDevice[]> {
  const asked = process.env.TILLER_TEST_DEVICE ?? 'lavapipe';
  const kind = deviceKinds.find((name) => name === asked);
  if (!kind) throw new Error(`TILLER_TEST_DEVICE is "${asked}", expected one of ${deviceKinds.join(', ')}`);
  const absent = (skip: string): TestDevice[] => [{ name: kind, kind, host: null, skip }];

  if (kind !== 'hardware') {
    const manifest = vulkanManifest(kind);
    if (manifest === null) return absent(`no Vulkan driver of ${kind} on this machine`);
    process.env.VK_ICD_FILENAMES = manifest;
  }
  const host = await nodeWebGpuHost();
  const adapterOptions: GPURequestAdapterOptions = { powerPreference: 'high-performance' };
  const adapter = await host.gpu.requestAdapter(adapterOptions);
  if (!adapter) return absent(`${kind} has a driver but gives no WebGPU adapter`);
  const { description, device, isFallbackAdapter } = adapter.info;
  if (kind === 'hardware' && (isFallbackAdapter || /swiftshader|llvmpipe/i.test(description + device))) {
    return absent('no GPU on this machine, only a software driver');
  }
  return [{ name: `${kind} (${description || device})`, kind, host: { ...host, adapterOptions }, skip: null }];
}
