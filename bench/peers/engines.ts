import { createOnnxEngine } from '../../src/engine/onnx/index.ts';
import { createWebGpuEngine } from '../../src/engine/webgpu/index.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { nodeOnnxRuntime } from '../../runner/onnx-host.ts';
import type { Bench } from '../measurement.ts';
import { openTorchPeer, type TorchPeer } from './torch-peer.ts';

/** Everything that a comparison runs on. */
export interface Contestants {
  readonly engines: readonly { readonly name: string; readonly engine: Engine }[];
  readonly torch: TorchPeer | null;
  /** Who is absent and why. */
  readonly missing: readonly string[];
  close(): Promise<void>;
}

/**
 * Our engines and PyTorch with the same weights. The context is stretched where a measurement needs more positions than the model was
 * trained on: what it computes is the same for all, and speed and agreement are all that is looked at.
 */
export async function openContestants(bench: Bench, positions: number): Promise<Contestants> {
  const { files, host, load } = bench;
  const spec = { ...files.spec, maxPositions: Math.max(files.spec.maxPositions, positions) };
  const options = { ...load, maxContext: spec.maxPositions };
  const missing: string[] = [];
  const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));
  const engines: { name: string; engine: Engine }[] = [];
  const wanted = process.env.TILLER_BENCH_ENGINES?.split(',') ?? ['webgpu', 'onnx'];
  const without = (name: string): boolean => {
    if (wanted.includes(name)) return false;
    missing.push(`${name} is left out by TILLER_BENCH_ENGINES`);
    return true;
  };
  if (!without('webgpu')) engines.push({ name: 'WebGPU', engine: await createWebGpuEngine(spec, files.source, host, options) });
  try {
    if (!without('onnx'))
      engines.push({ name: 'ONNX Runtime', engine: await createOnnxEngine(spec, files.source, await nodeOnnxRuntime(), options) });
  } catch (error) {
    missing.push(`ONNX Runtime: ${reason(error)}`);
  }
  const torch = await openPeer(bench, spec.maxPositions);
  if (typeof torch === 'string') missing.push(torch);
  missing.forEach((line) => bench.say(line));
  return {
    engines,
    torch: typeof torch === 'string' ? null : torch,
    missing,
    async close() {
      for (const { engine } of engines) await engine.dispose();
      if (typeof torch !== 'string') torch.close();
    },
  };
}

/** Threads of the peer: at most as many as the machine has cores; it takes what is fastest. */
async function openPeer(bench: Bench, positions: number): Promise<TorchPeer | string> {
  const { folder, load } = bench;
  if ((load.quantization ?? 'none') !== 'none') return 'no PyTorch: it has no such quantisation';
  const peer = await openTorchPeer();
  if (typeof peer === 'string') return peer;
  try {
    const { availableParallelism } = await import('node:os');
    const { threads } = await peer.run<{ threads: number }>('load', { folder, positions, threads: availableParallelism() });
    bench.say(`PyTorch ${peer.version}, ${threads} threads`);
    return peer;
  } catch (error) {
    peer.close();
    return error instanceof Error ? error.message : String(error);
  }
}
