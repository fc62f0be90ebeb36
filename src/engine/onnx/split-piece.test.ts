import { describe, expect, it } from 'vitest';
import { nodeOnnxRuntime } from '../../../runner/onnx-host.ts';
import { loadGoldenModel } from '../../../test/conformance/golden.ts';
import { createOnnxEngine } from './index.ts';

describe('a head in several pieces', () => {
  it.each(['llama_gqa_tied', 'gemma3', 'llama_odd_sizes'])('gives the logits of one piece: %s', async (name) => {
    const { spec, source } = loadGoldenModel(name);
    const runtime = await nodeOnnxRuntime();
    const logits = async (headPieceBytes?: number): Promise<{ all: Float32Array; tokens: number[] }> => {
      const options = { threads: 1, now: () => 0, ...(headPieceBytes === undefined ? {} : { headPieceBytes }) };
      const engine = await createOnnxEngine(spec, source, runtime, options);
      const { sequences } = await engine.score({ sequences: [{ ids: [1, 5, 9, 17, 3] }], logits: true });
      const tokens: number[] = [];
      for await (const step of engine.generate({ prompt: [1, 5], lanes: [{}, {}], maxTokens: 4, stop: [] })) {
        tokens.push(...step.lanes.map((lane) => lane!.token));
      }
      await engine.dispose();
      return { all: sequences[0].logits!, tokens };
    };
    const whole = await logits();
    // Room for 50 rows: more than two pieces, the last one shorter.
    const split = await logits(50 * spec.hidden * 4);
    expect(split.tokens).toEqual(whole.tokens);
    whole.all.forEach((value, i) => expect(Math.abs(split.all[i] - value)).toBeLessThan(1e-4));
  });
});
