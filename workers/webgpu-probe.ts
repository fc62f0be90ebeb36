import { TillerError } from '../src/errors/error.ts';

/** Names the browser's GPU as WebGL sees it, to tell a machine without one from a browser that keeps WebGPU off it. */
function webglRenderer(): string | null {
  try {
    const gl = new OffscreenCanvas(1, 1).getContext('webgl2');
    if (!gl) return null;
    const info = gl.getExtension('WEBGL_debug_renderer_info');
    const name: unknown = gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
    return typeof name === 'string' && !/swiftshader|llvmpipe|software|basic render/i.test(name) ? name : null;
  } catch {
    return null;
  }
}

/**
 * The adapter that WebGPU gives, or why there is none: no API, an insecure page, no adapter, or an adapter that the browser blocks.
 * @throws device/insecure, device/no-api, device/no-adapter
 */
export async function findAdapter(): Promise<GPUAdapter> {
  if (!self.isSecureContext) throw new TillerError('device/insecure');
  const gpu: GPU | undefined = navigator.gpu;
  if (!gpu) throw new TillerError('device/no-api');
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter) return adapter;
  const renderer = webglRenderer();
  const reason = renderer
    ? `The browser draws with ${renderer} but blocks it for WebGPU, usually because of its driver.`
    : 'The browser knows WebGPU but finds no GPU that it can use it on; hardware acceleration may be off.';
  throw new TillerError('device/no-adapter', { reason });
}
