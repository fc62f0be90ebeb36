/**
 * What the WebGPU engine needs from the place it runs in: a page, a worker, or Node with Dawn. The engine itself touches
 * no DOM and no Node API; whoever creates it hands one of these in.
 */
export interface WebGpuHost {
  readonly gpu: GPU;
  readonly adapterOptions?: GPURequestAdapterOptions;
  /** WGSL text of `shaders/NAME.wgsl`. Throws when there is no such kernel. */
  readonly shader: (name: string) => string;
}
