import type { KernelVariant } from './pipelines.ts';

/** One kernel call as data: what the recorder turns into a pipeline, a bind group and a dispatch. */
export interface Dispatch {
  readonly variant: KernelVariant;
  /** By binding number of group 0; null where the variant does not use that number. */
  readonly bindings: readonly (GPUBufferBinding | null)[];
  readonly workgroups: readonly [number, number, number];
  /** Multiply-adds, for splitting submits on slow devices. */
  readonly cost: number;
}

/** Splits a number of workgroups over x and y where it passes the limit of one dimension. */
export function grid(count: number): readonly [number, number, number] {
  const y = Math.ceil(count / 65535);
  return [Math.ceil(count / y), y, 1];
}
