import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StartEngine } from './engine-process.ts';
import { startFaulty } from '../../test/faulty-start.ts';
import { faults, noise } from '../../test/faults.ts';
import { golden } from '../../test/cli.ts';
import { codeOf, openTestRunner, type TestRunner } from '../../test/runner.ts';
import { generated } from '../../test/conformance/compare.ts';
import type { Engine } from '../../src/engine/engine.ts';

/** What test/engine-parent.ts says. */
interface Line {
  readonly pid?: number;
  readonly type?: string;
}

/** Whether there is a process of that number, on this machine. */
const lives = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** Engines in processes of their own, and what becomes of requests when one of them fails. */
describe('a runner whose engine fails', () => {
  let runner: TestRunner;
  let engine: Engine;
  let ahead = 0;
  /** Process numbers of all engines that were started, the present one last. */
  const pids: number[] = [];
  const start: StartEngine = (events) => {
    const started = startFaulty(events);
    pids.push(started.pid ?? 0);
    return started;
  };
  const model = 'llama_gqa_tied';
  const prompt = [1, 2, 3];
  const good = () => generated(engine, { prompt, maxTokens: 4, stop: [] });
  const bad = (first: number) =>
    generated(engine, { prompt: [first, 2], maxTokens: 4, stop: [] }).then(
      () => 'no error',
      (error: { code: string; details: { problem: string } }) => ({ code: error.code, problem: error.details.problem }),
    );
  const slot = () => runner.runner.pool.slot(model);
  const until = async (test: () => boolean): Promise<void> => {
    while (!test()) await new Promise((resolve) => setTimeout(resolve, 10));
  };

  beforeAll(async () => {
    runner = await openTestRunner({
      models: [golden(model)],
      start: () => start,
      pool: { silent: 120_000, stuck: 100_000 },
      now: () => performance.now() + ahead,
    });
    engine = await runner.engine(model);
  });
  afterAll(() => runner.close());

  it.each([
    ['hangs', faults.hang, 'silent', /^it gave no sign of life for \d+ s$/],
    ['waits forever', faults.still, 'stuck', /^its work did not move for \d+ s$/],
    ['throws', faults.crash, null, /^a test crash$/],
    ['aborts', faults.abort, null, /SIGABRT|code 134/],
    ['touches memory that is not there', faults.segfault, null, /SIGSEGV/],
  ] as const)('starts one again that %s; what ran is told, what waits goes on', async (_, first, limit, problem) => {
    const want = (await good()).tokens;
    const before = slot().restarts;
    const lost = bad(first);
    await until(() => slot().busy().running === 1);
    const waiting = good();
    if (limit !== null) {
      await until(() => slot().busy().queued === 1);
      // The watch's clock, not this machine's: no test waits for a limit.
      ahead += limit === 'silent' ? 130_000 : 110_000;
      slot().watch();
    }
    expect(await lost).toEqual({ code: 'runner/engine-restarted', problem: expect.stringMatching(problem) as string });
    expect((await fetch(`${runner.address}/healthz`)).status).toBe(200);
    expect((await waiting).tokens).toEqual(want);
    expect(pids.filter(lives)).toEqual([pids.at(-1)]);
    expect(slot().restarts).toBe(before + 1);
    expect(runner.runner.pool.engines).toBe(1);
    expect((await runner.connection.capabilities()).models[0]).toMatchObject({ state: 'ready', restarts: before + 1 });
  });

  it('gives the memory of the engines it ended back', async () => {
    await good();
    const { pool } = runner.runner;
    expect(pool.engines).toBe(1);
    await until(() => pool.memory > 0);
    await slot().unload(10_000);
    expect([pool.engines, pool.memory]).toEqual([0, 0]);
    expect(pids.filter(lives)).toEqual([]);
    expect((await good()).tokens.length).toBe(1);
    expect(pids.filter(lives)).toEqual([pids.at(-1)]);
  });

  it.skipIf(process.platform !== 'linux')('gives engines no secrets of the server', async () => {
    process.env.TILLER_RUNNER_TOKEN = 'a-secret-of-the-server';
    try {
      await slot().unload(10_000);
      await good();
      const environment = readFileSync(`/proc/${pids.at(-1)}/environ`, 'utf8');
      expect(environment).toContain('PATH=');
      expect(environment).not.toContain('a-secret-of-the-server');
    } finally {
      delete process.env.TILLER_RUNNER_TOKEN;
    }
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

describe('an engine whose server is gone', () => {
  const script = fileURLToPath(new URL('../../test/engine-parent.ts', import.meta.url));

  /** Starts the script, gives what it says, and waits until it has said what is looked for. */
  async function begin(first: number, enough: (lines: readonly Line[]) => boolean) {
    const parent = spawn(process.execPath, ['--import', 'tsx', script, String(first)], { stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { stdout: '', stderr: '' };
    const lines = (): Line[] =>
      said.stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Line);
    parent.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()));
    await new Promise<void>((resolve, reject) => {
      parent.stdout.on('data', (chunk: Buffer) => {
        said.stdout += chunk.toString();
        if (enough(lines())) resolve();
      });
      parent.once('exit', () => reject(new Error(said.stderr)));
    });
    const { pid = 0 } = lines().find((line) => line.pid !== undefined) ?? {};
    expect(lives(pid)).toBe(true);
    return { parent, pid, lines, said };
  }

  it.each([
    ['rests', 1, (lines: readonly Line[]) => lines.some(({ type }) => type === 'done')],
    ['hangs', faults.hang, (lines: readonly Line[]) => lines.length > 0],
  ])('ends too where the server is killed while it %s', async (_, first, enough) => {
    const { parent, pid } = await begin(first, enough);
    parent.kill('SIGKILL');
    while (lives(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
  });

  it('keeps what drivers print out of standard output', async () => {
    const { parent, lines, said } = await begin(faults.noise, (all) => all.some(({ type }) => type === 'done'));
    expect(lines().map(({ type = 'pid' }) => type)).toEqual(['pid', 'step', 'step', 'done']);
    expect(said.stderr).toContain(noise);
    parent.kill('SIGKILL');
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
