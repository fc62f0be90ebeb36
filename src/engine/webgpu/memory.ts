import { TillerError } from '../../errors/error.ts';

const mega = (bytes: number): string => `${(bytes / 1048576).toFixed(1)} MiB`;

/** Buffers of one purpose, counted, checked against the limits before they are made, and freed together. */
export class Memory {
  readonly device: GPUDevice;
  private readonly buffers = new Set<GPUBuffer>();
  private total = 0;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  get bytes(): number {
    return this.total;
  }

  /** Most bytes that one storage binding may have. */
  get bindingLimit(): number {
    return Math.min(this.device.limits.maxStorageBufferBindingSize, this.device.limits.maxBufferSize);
  }

  /** A zeroed buffer of at least `size` bytes. Throws device/limits when it could never be bound. */
  make(label: string, size: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const bytes = Math.max(16, Math.ceil(size / 16) * 16);
    const limit = (usage & GPUBufferUsage.STORAGE) !== 0 ? this.bindingLimit : this.device.limits.maxBufferSize;
    if (bytes > limit) {
      throw new TillerError('device/limits', { limit: 'the largest buffer', got: mega(limit), needed: `${mega(bytes)} for ${label}` });
    }
    const buffer = this.device.createBuffer({ label, size: bytes, usage });
    this.buffers.add(buffer);
    this.total += bytes;
    return buffer;
  }

  storage(label: string, size: number): GPUBuffer {
    return this.make(label, size, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST);
  }

  free(buffer: GPUBuffer): void {
    if (this.buffers.delete(buffer)) {
      this.total -= buffer.size;
      buffer.destroy();
    }
  }

  freeAll(): void {
    for (const buffer of [...this.buffers]) this.free(buffer);
  }
}

/**
 * Runs work that allocates; a refusal by the device becomes device/out-of-memory with what was wanted, instead of an
 * uncaptured error that nobody sees.
 */
export async function allocating<T>(device: GPUDevice, what: string, needed: () => number, work: () => Promise<T>): Promise<T> {
  device.pushErrorScope('out-of-memory');
  let popped = false;
  const pop = async (): Promise<GPUError | null> => {
    popped = true;
    return device.popErrorScope();
  };
  try {
    const value = await work();
    const error = await pop();
    if (error) throw new TillerError('device/out-of-memory', { what, needed: mega(needed()) });
    return value;
  } finally {
    if (!popped) await device.popErrorScope().catch(() => null);
  }
}
