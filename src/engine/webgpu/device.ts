import { TillerError } from '../../errors/error.ts';
import type { AdapterInfo } from '../engine.ts';
import type { WebGpuHost } from './host.ts';

/** A device of our own, with everything the adapter offers of the limits we use. */
export interface OpenDevice {
  readonly device: GPUDevice;
  readonly adapter: AdapterInfo;
  readonly f16: boolean;
  readonly subgroups: boolean;
}

/** Limits asked for at the adapter's value: big bindings for embedding tables, big buffers for weights. */
const wanted = ['maxBufferSize', 'maxStorageBufferBindingSize'] as const;

/** Adapters that compute on the CPU, by what their drivers call themselves; there is no field that says it reliably. */
const softwareNames = /llvmpipe|lavapipe|swiftshader|microsoft basic render|warp/i;

export function describeAdapter(adapter: GPUAdapter): AdapterInfo {
  const { vendor, architecture, device, description } = adapter.info;
  const name = [description, device, architecture, vendor].find((part) => part !== '') ?? 'unknown adapter';
  const software = adapter.info.isFallbackAdapter || softwareNames.test(`${vendor} ${architecture} ${device} ${description}`);
  return { name, kind: software ? 'software' : 'hardware', features: [...adapter.features].sort() };
}

/** @throws device/no-adapter, device/lost */
export async function openDevice(host: WebGpuHost): Promise<OpenDevice> {
  const adapter = await host.gpu.requestAdapter(host.adapterOptions ?? { powerPreference: 'high-performance' });
  if (!adapter) throw new TillerError('device/no-adapter', { reason: 'The system offers no GPU, or its driver is blocked.' });
  const f16 = adapter.features.has('shader-f16');
  const subgroups = adapter.features.has('subgroups');
  const requiredFeatures: GPUFeatureName[] = [];
  if (f16) requiredFeatures.push('shader-f16');
  if (subgroups) requiredFeatures.push('subgroups');
  const requiredLimits = Object.fromEntries(wanted.map((limit) => [limit, adapter.limits[limit]]));
  try {
    const device = await adapter.requestDevice({ requiredFeatures, requiredLimits, label: 'tiller' });
    return { device, adapter: describeAdapter(adapter), f16, subgroups };
  } catch (cause) {
    throw new TillerError('device/lost', { reason: String(cause) }, { cause });
  }
}

/** Tells loss apart from our own `destroy`, and gives every waiting request the same typed error. */
export class DeviceHealth {
  private error: TillerError | null = null;
  private closed = false;
  private readonly failure: Promise<never>;

  constructor(device: GPUDevice) {
    this.failure = device.lost.then((info) => {
      this.error = new TillerError('device/lost', { reason: info.message || info.reason });
      throw this.error;
    });
    this.failure.catch(() => undefined);
    device.addEventListener('uncapturederror', (event) => {
      // The first one is kept: later ones follow from it.
      this.error ??= new TillerError('device/validation', { problem: event.error.message });
    });
  }

  /** @throws device/lost, device/validation */
  check(): void {
    if (this.closed) throw new TillerError('device/lost', { reason: 'the model was unloaded' });
    if (this.error) throw this.error;
  }

  /** Waits for work of the device; rejects with device/lost instead of waiting forever when the device goes away. */
  async wait<T>(work: Promise<T>): Promise<T> {
    try {
      const value = await Promise.race([work, this.failure]);
      this.check();
      return value;
    } catch (cause) {
      this.check();
      throw cause;
    }
  }

  close(): void {
    this.closed = true;
  }
}
