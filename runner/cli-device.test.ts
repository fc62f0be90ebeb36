import { afterAll, describe, expect, it } from 'vitest';
import { Scratch, golden, tiller } from '../test/cli.ts';
import { testDevices } from '../test/devices.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

const model = golden('llama_gqa_tied');
const shape = { family: 'llama', layers: 3, heads: 8, kvHeads: 2, headDim: 8, hidden: 64, intermediate: 100 };
const tokens = scratch.json('t.json', [[1, 17, 5, 99, 4], { ids: [1, 30, 31, 32, 33, 34, 35], promptLength: 3 }]);
const graph = scratch.json('g.json', {
  tiller: 1,
  model: shape,
  vectors: { v: { shape: [8], data: [1, -1, 0.5, 2, -0.5, 0.25, 1, 1] } },
  nodes: [
    { id: 'a', edit: 'add', at: { point: 'z', layer: 1, head: 3 }, vector: 'v', strength: 2, tokens: 'generated' },
    { id: 'b', edit: 'scale', at: { point: 'z', layer: 2, head: 0 }, strength: -1, tokens: 'all' },
  ],
});

interface Scored {
  readonly engine: string;
  readonly sequences: readonly { logprobs: number[]; edited: number[]; kl: number[]; edits: Record<string, number> }[];
}

/** The child sees the Vulkan driver that `testDevices` chose, because it is named in the environment. */
for (const device of await testDevices()) {
  describe.skipIf(device.skip !== null)(`the command line on ${device.name}`, () => {
    const run = async (verb: string, engine: string, ...args: string[]): Promise<unknown> => {
      const result = await tiller([verb, '--model', model, '--tokens', tokens, '--engine', engine, ...args, '--json'], {
        XDG_CACHE_HOME: scratch.folder,
      });
      expect(result.status, result.stderr).toBe(0);
      return JSON.parse(result.stdout);
    };

    it('scores as the reference engine does', async () => {
      const webgpu = (await run('score', 'webgpu', '--graph', graph)) as Scored;
      // A software driver is no GPU.
      const auto = (await run('score', 'auto', '--graph', graph)) as Scored;
      const reference = (await run('score', 'reference', '--graph', graph)) as Scored;
      const chosen = device.kind === 'hardware' ? 'webgpu' : 'onnx';
      expect([webgpu.engine, auto.engine, reference.engine]).toEqual(['webgpu', chosen, 'reference']);
      for (const scored of [webgpu, auto]) {
        scored.sequences.forEach((sequence, n) => {
          const expected = reference.sequences[n];
          expect(sequence.edits).toEqual(expected.edits);
          for (const key of ['logprobs', 'edited', 'kl'] as const) {
            expect(sequence[key].length).toBe(expected[key].length);
            sequence[key].forEach((value, t) => expect(Math.abs(value - expected[key][t])).toBeLessThan(1e-3));
          }
        });
      }
    });

    it('generates as the reference engine does', async () => {
      const args = ['--graph', graph, '--factor', '1', '--max-tokens', '8', '--precision', 'f32'];
      const lanes = (result: unknown): unknown =>
        (result as { results: { lanes: { tokens: number[]; edits: object }[] }[] }).results.map((one) =>
          one.lanes.map((lane) => [lane.tokens, lane.edits]),
        );
      expect(lanes(await run('generate', 'webgpu', ...args))).toEqual(lanes(await run('generate', 'reference', ...args)));
    });
  });
}
