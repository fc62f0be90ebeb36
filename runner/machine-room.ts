import { TillerError } from '../src/errors/error.ts';
import type { MemoryRoom } from '../src/model/memory-room.ts';

/** Memory of this process's machine, or of the container it is in. */
export const hostRoom = (memory: number = process.availableMemory()): MemoryRoom => ({ name: 'this machine', memory, bufferLimit: null });

export const adapterOptions: GPURequestAdapterOptions = { powerPreference: 'high-performance' };

export interface AdapterRoom extends MemoryRoom {
  readonly kind: 'hardware' | 'software' | 'cpu';
}

/**
 * What the WebGPU adapter has, or why there is none. WebGPU tells no memory of a card, only the largest buffer; a software driver takes
 * the host's memory.
 * @param memory the card's, where a person knows it
 */
export async function adapterRoom(memory: number | null): Promise<AdapterRoom | { readonly missing: string }> {
  try {
    const { describeAdapter } = await import('../src/engine/webgpu/device.ts');
    const { nodeWebGpuHost } = await import('./webgpu-host.ts');
    const adapter = await (await nodeWebGpuHost()).gpu.requestAdapter(adapterOptions);
    if (!adapter) return { missing: 'no adapter' };
    const { kind, name } = describeAdapter(adapter);
    const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
    return {
      name,
      kind,
      memory: memory ?? (kind === 'software' ? process.availableMemory() : null),
      bufferLimit: Math.min(maxBufferSize, maxStorageBufferBindingSize),
    };
  } catch (error) {
    if (error instanceof TillerError && error.code.startsWith('device/')) return { missing: error.why };
    throw error;
  }
}
