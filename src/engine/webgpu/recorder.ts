import type { DeviceHealth } from './device.ts';
import type { Dispatch } from './dispatch.ts';
import type { Kernel, Pipelines } from './pipelines.ts';

/** A dispatch with its bind group made: what is replayed for every token. */
export interface Recorded {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
  readonly cost: number;
}

const MAX_GROUPS = 8192;

/**
 * Turns dispatches into command buffers. Bind groups are made once per (kernel, buffers) and kept; a step of decoding is a
 * list recorded once and replayed, one submit a token. Where the device is slow, a list is cut into several submits so
 * that none runs long enough to trip a watchdog or freeze the desktop.
 */
export class Recorder {
  private readonly groups = new Map<string, GPUBindGroup>();
  private readonly ids = new WeakMap<GPUBuffer, number>();
  private nextId = 0;
  dispatches = 0;
  submits = 0;
  /** Multiply-adds per submit; set from the measured speed of the device. */
  budget = Number.POSITIVE_INFINITY;

  constructor(
    private readonly device: GPUDevice,
    private readonly pipelines: Pipelines,
    private readonly health: DeviceHealth,
  ) {}

  /** Records, compiling first what is not ready yet: rare kernels on software adapters, which compile slowly. */
  async compile(dispatches: readonly Dispatch[]): Promise<Recorded[]> {
    await this.pipelines.prepare(dispatches.map((dispatch) => dispatch.variant));
    return this.record(dispatches);
  }

  /** Records dispatches whose kernels are ready. */
  record(dispatches: readonly Dispatch[]): Recorded[] {
    // Buffers of past requests leave dead entries behind; what is recorded already keeps its own references.
    if (this.groups.size > MAX_GROUPS) this.groups.clear();
    return dispatches.map((dispatch) => {
      const kernel = this.pipelines.get(dispatch.variant);
      return {
        pipeline: kernel.pipeline,
        group: this.group(kernel, dispatch.bindings),
        workgroups: dispatch.workgroups,
        cost: dispatch.cost,
      };
    });
  }

  /** Submits a recorded list; `finish` may add copies at the end of the last command buffer. */
  submit(list: readonly Recorded[], finish?: (encoder: GPUCommandEncoder) => void): void {
    this.health.check();
    let at = 0;
    do {
      const encoder = this.device.createCommandEncoder();
      if (at < list.length) {
        const pass = encoder.beginComputePass();
        let spent = 0;
        let pipeline: GPUComputePipeline | null = null;
        do {
          const item = list[at];
          if (item.pipeline !== pipeline) pass.setPipeline(item.pipeline);
          pipeline = item.pipeline;
          pass.setBindGroup(0, item.group);
          pass.dispatchWorkgroups(...item.workgroups);
          spent += item.cost;
          this.dispatches += 1;
          at += 1;
        } while (at < list.length && spent + list[at].cost <= this.budget);
        pass.end();
      }
      if (at >= list.length) finish?.(encoder);
      this.device.queue.submit([encoder.finish()]);
      this.submits += 1;
    } while (at < list.length);
  }

  /** Forgets bind groups, after buffers they name were freed. */
  forget(): void {
    this.groups.clear();
  }

  private group(kernel: Kernel, bindings: readonly (GPUBufferBinding | null)[]): GPUBindGroup {
    const key = `${kernel.key}|${bindings.map((one) => (one ? `${this.id(one.buffer)}+${one.offset ?? 0}` : '')).join(',')}`;
    let group = this.groups.get(key);
    if (!group) {
      group = this.device.createBindGroup({
        label: kernel.key,
        layout: kernel.pipeline.getBindGroupLayout(0),
        entries: bindings.flatMap((resource, binding) => (resource ? [{ binding, resource }] : [])),
      });
      this.groups.set(key, group);
    }
    return group;
  }

  private id(buffer: GPUBuffer): number {
    let id = this.ids.get(buffer);
    if (id === undefined) this.ids.set(buffer, (id = this.nextId++));
    return id;
  }
}
