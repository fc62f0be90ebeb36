import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TillerError } from '../../src/errors/error.ts';
import type { DamageResult, JobResult } from '../../src/jobs/job-result.ts';
import type { EvaluateJob, JobState, JobView } from '../../src/jobs/job.ts';
import { Scratch } from '../../test/cli.ts';
import type { Database } from './database.ts';
import { openEmbeddedDatabase } from './embedded-database.ts';
import { JobQueue } from './job-queue.ts';
import { JobRunner, type JobExecutor, type JobRunnerOptions } from './job-runner.ts';

const scratch = new Scratch();
const minute = 60_000;
const job = (seed: number): EvaluateJob => ({
  ...{ tiller: 1, kind: 'evaluate', model: 'm', graph: null, factors: [], seed },
  evaluation: { type: 'damage', neutral: 'stories', maxLength: 64 },
});
const result: DamageResult = {
  ...{ kind: 'damage', engine: {}, graph: null, seed: 0, conditions: [], notes: [] },
  neutral: { sha256: '', documents: 1, tokens: 2 },
};

/** What a runner does by its clock, which here is the test's. */
describe('a runner of jobs', () => {
  let database: Database;
  let queue: JobQueue;
  let time = 0;
  /** How often the clock was read: a runner that looks at its jobs reads it. */
  let looks = 0;
  const now = (): number => {
    looks += 1;
    return time;
  };
  beforeAll(async () => {
    database = await openEmbeddedDatabase(scratch.path('jobs'));
    queue = await JobQueue.open(database, { mostLosses: 3 });
  });
  afterAll(async () => {
    await queue.close();
    scratch.remove();
  });
  const start = (execute: JobExecutor, more: Partial<JobRunnerOptions> = {}): JobRunner =>
    new JobRunner({ queue, models: () => [{ name: 'm', weights: 'w' }], name: 'x', pollMs: 5, reportMs: 5, now, execute, ...more });
  const until = async (test: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await test())) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const stands = (id: string, state: JobState): Promise<void> => until(async () => (await queue.view(id)).state === state);
  /** Waits until the runner has looked at its jobs some times since now. */
  const looked = async (): Promise<void> => {
    const before = looks;
    await until(() => looks > before + 5);
  };
  /** Ends only when it is told to. */
  const still: JobExecutor = (_work, _units, _report, signal) =>
    new Promise((_, reject) => {
      const end = (): void => reject(new TillerError('request/aborted'));
      if (signal.aborted) end();
      signal.addEventListener('abort', end);
    });

  it('gives a job that told nothing for half an hour to another, and gives it up when that does not help', async () => {
    const { id } = await queue.submit({ job: job(1) }, 'w');
    let report = (): void => undefined;
    const begun: number[] = [];
    const runner = start((work, units, tell, signal) => {
      begun.push(time);
      report = () => tell({ type: 'note', text: String(time) });
      return still(work, units, tell, signal);
    });
    await until(() => begun.length === 1);
    time += 29 * minute;
    await looked();
    expect(await queue.view(id)).toMatchObject({ state: 'running', attempt: 1 });
    // A word is enough for another half an hour.
    report();
    time += 29 * minute;
    await looked();
    expect(await queue.view(id)).toMatchObject({ state: 'running', attempt: 1 });
    time += 2 * minute;
    await until(() => begun.length === 2);
    expect(await queue.view(id)).toMatchObject({ state: 'running', attempt: 2 });
    time += 31 * minute;
    await until(() => begun.length === 3);
    time += 31 * minute;
    await stands(id, 'failed');
    expect((await queue.view(id)).error).toMatchObject({ code: 'jobs/runners-lost', details: { attempts: 3 } });
    await runner.stop();
    expect(begun).toHaveLength(3);
  });

  it('lets the next job in where one stood still', async () => {
    const stuck = await queue.submit({ job: job(2) }, 'w');
    const seen: number[] = [];
    const runner = start((work, units, report, signal) => {
      const { seed } = work.document as EvaluateJob;
      seen.push(seed);
      return seed === 2 ? still(work, units, report, signal) : Promise.resolve(result as JobResult);
    });
    await until(() => seen.length === 1);
    const { id } = await queue.submit({ job: job(3) }, 'w');
    for (let attempt = 2; attempt <= 4; attempt++) {
      time += 31 * minute;
      if (attempt <= 3) await until(() => seen.filter((seed) => seed === 2).length === attempt);
    }
    await stands(stuck.id, 'failed');
    await stands(id, 'done');
    await runner.stop();
  });

  it('removes ended jobs that are not to be kept when it starts, and every hour', async () => {
    const old = async (seed: number): Promise<JobView> => {
      const view = await queue.submit({ job: job(seed) }, 'w');
      await queue.cancel(view.id);
      await database.query(`UPDATE tiller.jobs SET ended = now() - interval '31 days' WHERE id = $1`, [view.id]);
      return view;
    };
    const there = async ({ id }: JobView): Promise<boolean> => (await queue.list()).some((one) => one.id === id);
    const first = await old(10);
    const keeps = start(still);
    await looked();
    expect(await there(first)).toBe(true);
    await keeps.stop();
    const runner = start(still, { keep: { ageMs: 30 * 24 * 60 * minute, count: null } });
    await until(async () => !(await there(first)));
    const second = await old(11);
    time += 59 * minute;
    await looked();
    expect(await there(second)).toBe(true);
    time += 2 * minute;
    await until(async () => !(await there(second)));
    await runner.stop();
  });
});
