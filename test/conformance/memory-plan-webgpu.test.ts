import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countingHost } from '../../bench/gpu-bytes.ts';
import { createWebGpuEngine } from '../../src/engine/webgpu/index.ts';
import { planMemory } from '../../src/model/memory-plan.ts';
import { testDevices } from '../devices.ts';
import { loadGoldenModel, loadModelFolder, type GoldenModel } from './golden.ts';

const [device] = await testDevices();

/** Uniforms in slabs of 64 KiB, the program of a graph, logits of the self-test, buffers for reading back. */
const SMALL = 4 * 2 ** 20;

/** Planned bytes are those of the buffers that the device was asked for: weights to 16 bytes a buffer, all together to 1 % and 4 MiB. */
describe(`planned memory, WebGPU engine on ${device.name}`, () => {
  const check = async ({ spec, source }: GoldenModel, lanes: number): Promise<void> => {
    for (const quantization of ['none', 'q4'] as const) {
      const { host, bytes } = countingHost(device.host!);
      const engine = await createWebGpuEngine(spec, source, host, { quantization, now: () => performance.now() });
      const context = Math.min(spec.maxPositions, 128);
      const plan = planMemory(spec, { engine: 'webgpu', quantization, context, lanes, stored: source.tensors });
      expect(plan.cachePerToken).toBe(engine.model.memory.cachePerToken);
      const rounding = 16 * 32 * (spec.layers + 1);
      expect(Math.abs(engine.model.memory.weights - plan.weights), quantization).toBeLessThan(rounding);
      const maxTokens = context - 3;
      const run = engine.generate({ prompt: [1, 5, 7], lanes: Array.from({ length: lanes }, () => ({})), maxTokens, stop: [] });
      for (let next = await run.next(); !next.done; next = await run.next());
      expect(bytes.now, quantization).toBeLessThan(1.01 * plan.total + SMALL);
      expect(bytes.now, quantization).toBeGreaterThan(plan.weights + plan.cache);
      await engine.dispose();
    }
  };

  it.skipIf(device.host === null).each(['llama_odd_sizes', 'mistral_window'])('%s', (name) => check(loadGoldenModel(name), 3));

  const stories = new URL('../../models/stories15M', import.meta.url).pathname;
  it.skipIf(device.host === null || !existsSync(stories))('stories15M (skipped where it is not built)', () =>
    check(loadModelFolder(stories), 2),
  );
});
