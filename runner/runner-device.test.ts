import { describe, expect, it } from 'vitest';
import { golden } from '../test/cli.ts';
import { generated } from '../test/conformance/compare.ts';
import { loadModelFolder } from '../test/conformance/golden.ts';
import { rich } from '../test/conformance/graphs.ts';
import { testDevices } from '../test/devices.ts';
import { openTestRunner } from '../test/runner.ts';
import type { Engine } from '../src/engine/engine.ts';
import { createWebGpuEngine } from '../src/engine/webgpu/index.ts';

/** The engine's process sees the Vulkan driver that `testDevices` chose, because it is named in the environment. */
for (const device of await testDevices()) {
  describe.skipIf(device.skip !== null)(`a runner on ${device.name}`, () => {
    it('gives what the engine here gives, bit for bit', async () => {
      const folder = golden('llama_gqa_tied');
      const { spec, source } = loadModelFolder(folder);
      const runner = await openTestRunner({
        models: [folder],
        config: { engine: { engine: 'webgpu', quantization: null, precision: 'f32', weightCache: 'off', anyway: true, maxContext: null } },
      });
      const there = await runner.engine('llama_gqa_tied');
      const here = await createWebGpuEngine(spec, source, device.host!, { now: () => performance.now(), precision: 'f32' });
      const graph = rich(spec, spec.vocab);
      const work = async (engine: Engine): Promise<unknown> => {
        const sampling = { temperature: 0.8, seed: 7 };
        const { tokens, logprobs } = await generated(engine, { prompt: [1, 17, 5, 99, 4], graph, maxTokens: 12, stop: [], sampling });
        const scores = await engine.score({ sequences: [{ ids: [1, 30, 31, 32, 33, 34, 35], promptLength: 3 }], graph });
        return { tokens, logprobs, scores };
      };
      expect(await work(there)).toStrictEqual(await work(here));
      expect(there.model).toMatchObject({ engine: 'webgpu', adapter: here.model.adapter });
      await here.dispose();
      await runner.close();
      expect(runner.runner.pool.engines).toBe(0);
    });
  });
}
