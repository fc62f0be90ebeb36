/**
 * What the WebGPU engine needs from the place it runs in: a page, a worker, or Node with Dawn. The engine itself touches
 * no DOM and no Node API; whoever creates it hands one of these in.
 */
export interface WebGpuHost {
  readonly gpu: GPU;
  readonly adapterOptions?: GPURequestAdapterOptions;
  /** WGSL text of `shaders/NAME.wgsl`. Throws when there is no such kernel. */
  readonly shader: (name: string) => string;
  /** Where the choice of kernels is remembered between loads; without one it is measured at every load. */
  readonly tuning?: TuningStore;
}

/** A small persistent map: localStorage, IndexedDB, a file. */
export interface TuningStore {
  read(key: string): Promise<string | null>;
  write(key: string, value: string): Promise<void>;
}
