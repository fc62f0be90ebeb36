import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../../src/engine/reference/index.ts';
import type { Json } from '../../src/evals/unit-store.ts';
import { memoryResults } from '../../src/captures/memory-results.ts';
import { readExamples } from '../../src/examples/read-examples.ts';
import { defaultRecipe } from '../../src/fit/recipe.ts';
import type { JobResult } from '../../src/jobs/job-result.ts';
import type { JobDocument } from '../../src/jobs/job.ts';
import { openModel } from '../../src/model/model.ts';
import { seededRandom } from '../../src/stats/random.ts';
import { openFolder } from '../../src/store/folder.ts';
import { Scratch, golden } from '../../test/cli.ts';
import type { RunnerProcessSetup } from '../../test/job-runner-process.ts';
import { postgresPrograms, startPostgres, type PostgresServer } from '../../test/postgres-server.ts';
import { jobExamples } from '../example-options.ts';
import type { Database } from './database.ts';
import { openEmbeddedDatabase } from './embedded-database.ts';
import { JobQueue } from './job-queue.ts';
import { openPostgres } from './postgres-database.ts';
import { runJob } from './run-job.ts';

const scratch = new Scratch();
const folder = golden('real_stories260K/model');
const model = { folder, name: 'tiny' };
/** Short, so that the test need not wait long; nothing is asserted about it. */
const leaseMs = 2000;

const names = ['Lily', 'Tom', 'Ben', 'Mia', 'Sam'];
const texts = names.flatMap((name) => [
  `"${name} was very happy.",1`,
  `"${name} laughed.",1`,
  `"${name} was very sad.",0`,
  `"${name} cried.",0`,
]);
const neutral = { texts: names.map((name) => `One day ${name} went to the park and they had a big red ball.`) };

async function documents(): Promise<JobDocument[]> {
  const bytes = new TextEncoder().encode(`text,label\n${texts.join('\n')}\n`);
  const examples = jobExamples(await readExamples({ name: 'texts.csv', bytes }));
  const recipe = {
    ...defaultRecipe,
    sweep: { strengths: [0.5, 1], counts: [1, 2], effect: 'auto', neutral, klBudget: 0.1, controls: true, samples: 1 },
  };
  return [0, 1, 2].map((seed) => ({ tiller: 1, kind: 'fit', model: model.name, examples, recipe: { ...recipe, seed }, seeds: 1 }));
}

/** What a job comes to without any queue, and the units that it is made of. */
async function single(jobs: readonly JobDocument[]): Promise<{ readonly results: JobResult[]; readonly units: Map<string, Json> }> {
  const files = await openModel(openFolder(folder));
  const engine = await createReferenceEngine(files.spec, files.source, { quantization: 'none', precision: 'auto', now: () => 0 });
  const kept = new Map<string, Json>();
  const units = {
    get: (key: string) => Promise.resolve(kept.get(key)),
    set: (key: string, value: Json) => Promise.resolve(void kept.set(key, value)),
  };
  const place = { engine, files, results: memoryResults(), units, version: 'test' };
  const results: JobResult[] = [];
  for (const document of jobs)
    results.push(await runJob({ document, tensors: new Map(), made: '' }, place, () => undefined, new AbortController().signal));
  return { results, units: kept };
}

/** A result but for when it was made. */
const timeless = (result: JobResult): unknown => JSON.parse(JSON.stringify(result, (key, value: unknown) => (key === 'made' ? '' : value)));

class RunnerProcess {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly ended: Promise<void>;
  #heard: (() => void)[] = [];
  #open = true;

  constructor(database: string, name: string, fate: RunnerProcessSetup['fate'] = null) {
    const setup: RunnerProcessSetup = { name, database, model, results: scratch.path('results'), leaseMs, fate };
    const file = fileURLToPath(new URL('../../test/job-runner-process.ts', import.meta.url));
    this.child = spawn(process.execPath, ['--import', 'tsx', file, JSON.stringify(setup)], { stdio: ['ignore', 'pipe', 'inherit'] });
    started.add(this);
    const hear = (): void => {
      const heard = this.#heard;
      this.#heard = [];
      for (const go of heard) go();
    };
    if (this.child.stdout)
      createInterface(this.child.stdout).on('line', (line) => {
        this.lines.push(line);
        hear();
      });
    this.ended = new Promise((resolve) =>
      this.child.once('close', () => {
        this.#open = false;
        hear();
        resolve();
      }),
    );
  }

  count(line: string): number {
    return this.lines.filter((one) => one === line).length;
  }

  /** Until it has said a line so often. */
  async said(line: string, times = 1): Promise<void> {
    while (this.count(line) < times) {
      if (!this.#open) throw new Error(`the runner ended: ${this.lines.slice(-5).join(' | ')}`);
      await new Promise<void>((resolve) => this.#heard.push(resolve));
    }
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.child.kill(signal);
    await this.ended;
    started.delete(this);
  }
}

const started = new Set<RunnerProcess>();
let server: PostgresServer | null = null;
let jobs: JobDocument[];
let alone: Awaited<ReturnType<typeof single>>;
beforeAll(async () => {
  if (postgresPrograms !== null) server = await startPostgres(postgresPrograms);
  jobs = await documents();
  alone = await single(jobs);
});
afterEach(async () => {
  for (const runner of [...started]) await runner.end('SIGKILL');
});
afterAll(async () => {
  await server?.stop();
  scratch.remove();
});

/** Until all jobs have ended, whoever ends them. */
async function allEnded(queue: JobQueue): Promise<void> {
  for (;;) {
    const { received, queued, running } = await queue.counts();
    if (received + queued + running === 0) return;
    await queue.pause(200, new AbortController().signal);
  }
}

/** Nothing was lost and nothing counted twice, and it is all what one runner alone comes to. */
async function expectAll(queue: JobQueue, database: Database, ids: readonly string[]): Promise<void> {
  for (const [index, id] of ids.entries()) {
    expect(await queue.view(id)).toMatchObject({ state: 'done', error: null });
    expect(timeless(await queue.result(id))).toEqual(timeless(alone.results[index]));
  }
  const kept = new Map(
    (await database.query('SELECT key, content FROM tiller.units')).map(({ key, content }) => [key, JSON.parse(content as string) as Json]),
  );
  expect(new Set(kept.keys())).toEqual(new Set(alone.units.keys()));
  for (const [key, value] of alone.units) expect(kept.get(key)).toEqual(value);
  // A point of the sweep is told once, however often the job was begun.
  for (const id of ids) {
    const points = (await queue.details(id)).rows.flatMap((row) => (row.type === 'point' ? [JSON.stringify(row.point)] : []));
    expect(points).toHaveLength(5);
    expect(new Set(points).size).toBe(5);
  }
  expect(await database.query('SELECT 1 FROM tiller_queue.job')).toEqual([]);
}

async function submitAll(queue: JobQueue): Promise<string[]> {
  const ids: string[] = [];
  for (const job of jobs) ids.push((await queue.submit({ job }, null)).id);
  return ids;
}

describe.skipIf(postgresPrograms === null)(
  `runners on one PostgreSQL${postgresPrograms === null ? ' (skipped: it is not installed)' : ''}`,
  () => {
    it('one killed, one hung and back again: the jobs come to what a single runner makes of them', async () => {
      const url = (await server?.database()) ?? '';
      const database = await openPostgres(url, leaseMs);
      const queue = await JobQueue.open(database, { leaseMs, mostLosses: 1000 });
      const killed = new RunnerProcess(url, 'killed', { signal: 'SIGKILL', units: 5 });
      const hung = new RunnerProcess(url, 'hung', { signal: 'SIGSTOP', units: 4 });
      const third = new RunnerProcess(url, 'third');
      await Promise.all([killed, hung, third].map((runner) => runner.said('ready')));
      const ids = await submitAll(queue);
      await allEnded(queue);
      expect([killed.child.signalCode, killed.count('unit'), hung.count('unit')]).toEqual(['SIGKILL', 4, 3]);
      const before = await Promise.all(ids.map((id) => queue.view(id)));
      expect(before.filter(({ attempt }) => attempt > 1).length).toBeGreaterThanOrEqual(2);
      // What the hung one was about to write is refused, and it goes on as a runner like any other.
      hung.child.kill('SIGCONT');
      await hung.said('lost');
      await hung.said('idle');
      expect(await Promise.all(ids.map((id) => queue.view(id)))).toEqual(before);
      await expectAll(queue, database, ids);
      await Promise.all([hung, third].map((runner) => runner.end('SIGTERM')));
      await queue.close();
    });

    it('killed again and again, at any moment, one loses nothing', async () => {
      const url = (await server?.database()) ?? '';
      const database = await openPostgres(url, leaseMs);
      const queue = await JobQueue.open(database, { leaseMs, mostLosses: 1000 });
      const ids = await submitAll(queue);
      const random = seededRandom(7);
      for (let round = 0; round < 3; round++) {
        const runner = new RunnerProcess(url, `round ${round}`);
        await runner.said('unit', 1 + Math.floor(12 * random()));
        await runner.end('SIGKILL');
      }
      const last = new RunnerProcess(url, 'last');
      await allEnded(queue);
      await expectAll(queue, database, ids);
      await last.end('SIGTERM');
      await queue.close();
    });
  },
);

describe('a runner with the embedded database', () => {
  it('killed while it opens and while it works, loses nothing', async () => {
    const place = scratch.path('jobs');
    const first = await JobQueue.open(await openEmbeddedDatabase(place), { leaseMs });
    const ids = await submitAll(first);
    await first.close();
    const random = seededRandom(11);
    for (const moment of ['opening', 'unit', 'unit']) {
      const runner = new RunnerProcess(place, moment);
      await runner.said(moment, moment === 'unit' ? 1 + Math.floor(12 * random()) : 1);
      await runner.end('SIGKILL');
    }
    const last = new RunnerProcess(place, 'last');
    await last.said('ready');
    await expect(openEmbeddedDatabase(place)).rejects.toEqual(expect.objectContaining({ code: 'jobs/folder-in-use' }));
    await last.said('idle');
    await last.end('SIGTERM');
    const database = await openEmbeddedDatabase(place);
    const queue = await JobQueue.open(database, { leaseMs });
    await expectAll(queue, database, ids);
    await queue.close();
  });
});
