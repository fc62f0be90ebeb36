import { TillerError } from '../../errors/error.ts';
import { assembleShader, type Defines } from './shader.ts';

/** One compiled variant of a kernel. */
export interface Kernel {
  readonly key: string;
  readonly pipeline: GPUComputePipeline;
}

export interface KernelVariant {
  /** File in shaders/, without `.wgsl`. */
  readonly shader: string;
  readonly defines?: Defines;
  readonly includes?: Readonly<Record<string, string>>;
}

export const variantKey = (variant: KernelVariant): string =>
  [
    variant.shader,
    ...Object.entries(variant.includes ?? {}).map(([key, value]) => `${key}=${value}`),
    ...Object.entries(variant.defines ?? {}).map(([key, value]) => `${key}=${value}`),
  ].join(' ');

/**
 * Compiled pipelines of one device, by variant. `prepare` compiles many at once in parallel with progress, so that nothing
 * stalls the first token; `get` returns one that is ready; `require` compiles on demand.
 */
export class Pipelines {
  private readonly ready = new Map<string, Kernel>();
  private readonly pending = new Map<string, Promise<Kernel>>();

  constructor(
    private readonly device: GPUDevice,
    private readonly shader: (name: string) => string,
  ) {}

  require(variant: KernelVariant): Promise<Kernel> {
    const key = variantKey(variant);
    const known = this.ready.get(key);
    if (known) return Promise.resolve(known);
    let promise = this.pending.get(key);
    if (!promise) {
      promise = this.compile(key, variant).finally(() => this.pending.delete(key));
      this.pending.set(key, promise);
    }
    return promise;
  }

  get(variant: KernelVariant): Kernel {
    const kernel = this.ready.get(variantKey(variant));
    if (!kernel) throw new TillerError('internal', { problem: `kernel "${variantKey(variant)}" was not prepared` });
    return kernel;
  }

  async prepare(variants: readonly KernelVariant[], onProgress?: (done: number, total: number) => void): Promise<void> {
    const missing = variants.filter((variant) => !this.ready.has(variantKey(variant)));
    if (missing.length === 0) return;
    let done = 0;
    await Promise.all(
      missing.map(async (variant) => {
        await this.require(variant);
        done += 1;
        onProgress?.(done, missing.length);
      }),
    );
  }

  private async compile(key: string, variant: KernelVariant): Promise<Kernel> {
    const code = assembleShader(this.shader, variant.shader, variant.defines, variant.includes);
    const module = this.device.createShaderModule({ code, label: key });
    try {
      const pipeline = await this.device.createComputePipelineAsync({
        label: key,
        layout: 'auto',
        compute: { module, entryPoint: 'main' },
      });
      const kernel = { key, pipeline };
      this.ready.set(key, kernel);
      return kernel;
    } catch (cause) {
      const info = await module.getCompilationInfo().catch(() => null);
      const lines = info?.messages.map((message) => `${message.lineNum}: ${message.message}`).join('; ') ?? '';
      throw new TillerError('device/validation', { problem: `${key}: ${lines || String(cause)}` }, { cause });
    }
  }
}
