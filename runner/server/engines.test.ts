import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { workerThread } from './engine-thread.ts';
import { faults } from '../../test/faults.ts';
import { golden } from '../../test/cli.ts';
import { codeOf, openTestRunner, type TestRunner } from '../../test/runner.ts';
import { generated } from '../../test/conformance/compare.ts';
import type { Engine } from '../../src/engine/engine.ts';

/** Engines in threads of their own, and what becomes of requests when one of them fails. */
describe('a runner whose engine fails', () => {
  let runner: TestRunner;
  let engine: Engine;
  let ahead = 0;
  const model = 'llama_gqa_tied';
  const prompt = [1, 2, 3];
  const good = () => generated(engine, { prompt, maxTokens: 4, stop: [] });
  const bad = (first: number) => codeOf(generated(engine, { prompt: [first, 2], maxTokens: 4, stop: [] }));
  const slot = () => runner.runner.pool.slot(model);
  const until = async (test: () => boolean): Promise<void> => {
    while (!test()) await new Promise((resolve) => setTimeout(resolve, 10));
  };

  beforeAll(async () => {
    runner = await openTestRunner({
      models: [golden(model)],
      start: () => workerThread(new URL('../../test/faulty-worker.js', import.meta.url)),
      now: () => performance.now() + ahead,
    });
    engine = await runner.engine(model);
  });
  afterAll(() => runner.close());

  it.each([
    ['hangs', faults.hang, 'silent'],
    ['waits forever', faults.still, 'stuck'],
    ['falls', faults.crash, null],
  ] as const)('starts one again that %s; what ran is told, what waits goes on', async (_, first, limit) => {
    const want = (await good()).tokens;
    const before = slot().restarts;
    const lost = bad(first);
    await until(() => slot().busy().running === 1);
    const waiting = good();
    if (limit !== null) {
      await until(() => slot().busy().queued === 1);
      // The watch's clock, not this machine's: no test waits for a limit.
      ahead += limit === 'silent' ? 130_000 : 700_000;
      slot().watch();
    }
    expect(await lost).toBe('runner/engine-restarted');
    expect((await waiting).tokens).toEqual(want);
    expect(slot().restarts).toBe(before + 1);
    expect(runner.runner.pool.engines).toBe(1);
    expect((await runner.connection.capabilities()).models[0]).toMatchObject({ state: 'ready', restarts: before + 1 });
  });

  it('gives the memory of the engines it ended back', async () => {
    await good();
    const threads = (): number => runner.runner.pool.engines;
    expect(threads()).toBe(1);
    await slot().unload(10_000);
    expect(threads()).toBe(0);
    expect((await good()).tokens.length).toBe(1);
  });

  it('says why a model cannot be loaded, and tries again when asked again', async () => {
    const broken = await openTestRunner({
      models: [golden(model)],
      config: { engine: { engine: 'onnx', quantization: null, precision: 'f16', weightCache: 'off', anyway: true, maxContext: null } },
    });
    expect(await codeOf(broken.engine(model))).toBe('device/limits');
    expect((await broken.connection.capabilities()).models[0]).toMatchObject({ state: 'failed', restarts: 0 });
    expect(await codeOf(broken.engine(model))).toBe('device/limits');
    await broken.close();
  });
});

describe('a runner with more models than memory', () => {
  it('lets the model go that was used longest ago, and loads it again', async () => {
    const runner = await openTestRunner({ models: [golden('llama_gqa_tied'), golden('gemma3')], pool: { loaded: 1 } });
    const [llama, gemma] = [await runner.engine('llama_gqa_tied'), await runner.engine('gemma3')];
    const run = async (engine: Engine): Promise<unknown> => (await generated(engine, { prompt: [1, 2], maxTokens: 3, stop: [] })).tokens;
    const first = [await run(llama), await run(gemma)];
    expect(await Promise.all([run(llama), run(gemma), run(llama)])).toEqual([first[0], first[1], first[0]]);
    expect(runner.runner.pool.engines).toBe(1);
    await runner.close();
    expect(runner.runner.pool.engines).toBe(0);
  });
});
