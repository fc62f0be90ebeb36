import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { nodeOnnxRuntime } from '../../runner/onnx-host.ts';
import { createOnnxEngine } from '../../src/engine/onnx/index.ts';
import { planMemory } from '../../src/model/memory-plan.ts';
import { loadGoldenModel, loadModelFolder, type GoldenModel } from './golden.ts';
import { plannedGoldens } from './memory-plan-cases.ts';

/** Planned bytes are what the engine counts of itself: weights and cache exactly. */
describe('planned memory, ONNX engine', async () => {
  const runtime = await nodeOnnxRuntime();
  const check = async ({ spec, source }: GoldenModel): Promise<void> => {
    for (const quantization of ['none', 'q8', 'q4'] as const) {
      const engine = await createOnnxEngine(spec, source, runtime, { quantization, threads: 1, now: () => 0 });
      const plan = planMemory(spec, { engine: 'onnx', quantization, context: 256, lanes: 2, stored: source.tensors });
      expect(plan.weights, quantization).toBe(engine.model.memory.weights);
      expect(plan.cachePerToken).toBe(engine.model.memory.cachePerToken);
      await engine.dispose();
    }
  };

  it.each(plannedGoldens())('%s', (name) => check(loadGoldenModel(name)));

  const stories = new URL('../../models/stories15M', import.meta.url).pathname;
  it.skipIf(!existsSync(stories))('stories15M (skipped where it is not built)', () => check(loadModelFolder(stories)));
});
