import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import type { Engine } from '../../src/engine/engine.ts';
import { closeCodes } from '../../src/engine/remote/generate.ts';
import { golden } from '../../test/cli.ts';
import { generated } from '../../test/conformance/compare.ts';
import { countFile, faults } from '../../test/faults.ts';
import { startFaulty } from '../../test/faulty-start.ts';
import { openTestRunner, type TestRunner } from '../../test/runner.ts';
import { defaultLimits } from './config.ts';
import type { StartEngine } from './engine-process.ts';

const model = 'llama_gqa_tied';

/** How a run over a socket ends before it is done. */
describe('a run of a runner', () => {
  let runner: TestRunner;
  let engine: Engine;
  /** Tokens that the engine had computed when the server heard that a run is to stop, a number for each stop. */
  const atStop: number[] = [];
  const computed = (): number => readFileSync(join(runner.runner.config.folder, 'results', countFile)).length;
  const idle = async (): Promise<void> => {
    while (runner.runner.pool.busy().running > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  // The server tells the engine's process of a stop in the turn in which it hears of it.
  const start: StartEngine = (events) => {
    const started = startFaulty(events);
    return {
      ...started,
      post: (message) => {
        if (message.type === 'stop') atStop.push(computed());
        started.post(message);
      },
    };
  };

  beforeAll(async () => {
    runner = await openTestRunner({ models: [golden(model)], start: () => start });
    engine = await runner.engine(model);
  });
  afterAll(() => runner.close());

  it.each(['is told to', 'sees its client leave'])('computes at most one more token once it %s', async (how) => {
    for (let steps = 1; steps <= 20; steps++) {
      atStop.length = 0;
      const controller = new AbortController();
      const request = { prompt: [faults.counted, 2], maxTokens: 8, stop: [], signal: controller.signal };
      let seen = 0;
      for await (const step of engine.generate(request)) {
        seen += 1;
        expect(step.index).toBe(seen - 1);
        if (seen < steps) continue;
        if (how === 'is told to') controller.abort();
        else break;
      }
      await idle();
      expect(atStop).toHaveLength(1);
      const [heard] = atStop;
      expect(heard).toBeGreaterThanOrEqual(steps);
      expect(computed() - heard).toBeLessThanOrEqual(1);
      // The next run counts from the beginning.
      writeFileSync(join(runner.runner.config.folder, 'results', countFile), '');
    }
  });

  it('lets a client go that reads nothing, and says so at the end of what was kept for it', async () => {
    const socket = new WebSocket(`${runner.address.replace('http', 'ws')}/v1/models/${model}/generate`, ['tiller.1']);
    const messages: string[] = [];
    socket.on('message', (data: Buffer) => messages.push(data.toString()));
    const closed = new Promise<number>((resolve) => socket.on('close', resolve));
    await new Promise((resolve) => socket.on('open', resolve));
    socket.send(JSON.stringify({ type: 'start', request: { prompt: [faults.flood, 2], maxTokens: 8, stop: [] } }));
    await new Promise<void>((resolve) => {
      socket.on('message', (data: Buffer) => {
        if (data.includes('"step"')) resolve();
      });
    });
    socket.pause();
    // The engine is stopped though nobody has read a word since, and serves others.
    await idle();
    expect((await generated(engine, { prompt: [1, 2], maxTokens: 4, stop: [] })).tokens[0]).toHaveLength(4);
    socket.resume();
    expect(await closed).toBe(closeCodes.refused);
    expect(JSON.parse(messages.at(-1) ?? '')).toMatchObject({ type: 'error', error: { code: 'runner/slow-client' } });
    const bytes = messages.reduce((sum, message) => sum + message.length, 0);
    expect(bytes).toBeGreaterThan(defaultLimits.backlog);
  });
});
