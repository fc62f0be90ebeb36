import { readFileSync } from 'node:fs';
import type { WebGpuHost } from '../src/engine/webgpu/host.ts';
import { TillerError } from '../src/errors/error.ts';

/**
 * Toggles every device of ours is made with: allow_unsafe_apis gives timestamp queries, and NVIDIA drivers compute f16 well but do not
 * promise it, so Dawn hides shader-f16 there unless asked.
 */
const features = 'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia';

/** Dawn crashes when an instance is collected while one of its devices lives, and nothing in JavaScript ties the two: so none ever is. */
const instances: GPU[] = [];

const shaderFolder = new URL('../shaders/', import.meta.url);

/**
 * WebGPU in Node, by Dawn. The Vulkan loader reads VK_ICD_FILENAMES once, so a process that wants a certain driver sets it before this
 * is called for the first time, and in the main thread: a worker's process.env is a copy that the loader never sees.
 * @param options.flags further Dawn flags, `name=value`
 * @throws device/no-adapter where the package has no binary for this platform
 */
export async function nodeWebGpuHost(options: { flags?: string[] } = {}): Promise<WebGpuHost> {
  const { create, globals } = await import('webgpu').catch((cause: unknown) => {
    const reason = `Dawn does not load on ${process.platform}-${process.arch}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new TillerError('device/no-adapter', { reason }, { cause });
  });
  Object.assign(globalThis, globals);
  const texts = new Map<string, string>();
  const gpu = create([features, ...(options.flags ?? [])]);
  instances.push(gpu);
  return {
    gpu,
    shader: (name) => {
      let text = texts.get(name);
      if (text === undefined) {
        text = readFileSync(new URL(`${name}.wgsl`, shaderFolder), 'utf8');
        texts.set(name, text);
      }
      return text;
    },
  };
}
