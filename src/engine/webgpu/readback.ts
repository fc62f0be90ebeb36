import type { DeviceHealth } from './device.ts';

interface Range {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** A staging buffer that was filled by the last submit and is being mapped. */
export class Readback {
  private constructor(
    private readonly staging: GPUBuffer,
    private readonly offsets: readonly number[],
    private readonly ranges: readonly Range[],
    private readonly health: DeviceHealth,
  ) {}

  /** Room for copies of these ranges; call `encode` at the end of a command buffer, then `take` once it is submitted. */
  static prepare(device: GPUDevice, health: DeviceHealth, ranges: readonly Range[]): Readback {
    const offsets: number[] = [];
    let size = 0;
    for (const range of ranges) {
      offsets.push(size);
      size += Math.ceil(range.size / 8) * 8;
    }
    const staging = device.createBuffer({
      label: 'read-back',
      size: Math.max(8, size),
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    return new Readback(staging, offsets, ranges, health);
  }

  encode(encoder: GPUCommandEncoder): void {
    this.ranges.forEach(({ buffer, offset, size }, index) => {
      if (size > 0) encoder.copyBufferToBuffer(buffer, offset, this.staging, this.offsets[index], Math.ceil(size / 4) * 4);
    });
  }

  /** The copied ranges, in order. Rejects with device/lost when the device goes away. */
  async take(): Promise<ArrayBuffer[]> {
    try {
      await this.health.wait(this.staging.mapAsync(GPUMapMode.READ));
      const all = this.staging.getMappedRange();
      return this.ranges.map(({ size }, index) => all.slice(this.offsets[index], this.offsets[index] + size));
    } finally {
      this.staging.destroy();
    }
  }
}
