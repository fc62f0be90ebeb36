import { openEmbeddedDatabase } from '../runner/jobs/embedded-database.ts';
import { JobQueue } from '../runner/jobs/job-queue.ts';
import { JobRunner } from '../runner/jobs/job-runner.ts';
import { openPostgres } from '../runner/jobs/postgres-database.ts';
import { runJob } from '../runner/jobs/run-job.ts';
import { createReferenceEngine } from '../src/engine/reference/index.ts';
import { openModel } from '../src/model/model.ts';
import { openFolder } from '../src/store/folder.ts';
import { resultsFolder } from '../src/store/results-folder.ts';

/**
 * A runner as a process of its own, without the server: tests kill it and stop it. It says on standard output, a line each, what it
 * has come to: `ready`, `unit` after each unit that it kept, `lost` for each write that was refused, `idle` when no job is left.
 */
export interface RunnerProcessSetup {
  readonly name: string;
  /** A connection string, or a folder of the embedded database. */
  readonly database: string;
  readonly model: { readonly folder: string; readonly name: string };
  readonly results: string;
  readonly leaseMs: number;
  /** It sends itself this signal when it has computed so many units and is about to keep the last of them. */
  readonly fate: { readonly signal: 'SIGKILL' | 'SIGSTOP'; readonly units: number } | null;
}

const setup = JSON.parse(process.argv[2]) as RunnerProcessSetup;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

let computed = 0;
say('opening');
const { leaseMs, model } = setup;
const database = setup.database.startsWith('postgres:')
  ? await openPostgres(setup.database, leaseMs)
  : await openEmbeddedDatabase(setup.database);
const queue = await JobQueue.open(database, { leaseMs, mostLosses: 1000 });
const files = await openModel(openFolder(model.folder));
const engine = await createReferenceEngine(files.spec, files.source, {
  quantization: 'none',
  precision: 'auto',
  now: () => performance.now(),
});
const runner = new JobRunner({
  queue,
  models: () => [{ name: model.name, weights: null }],
  name: setup.name,
  pollMs: 100,
  reportMs: 50,
  now: () => performance.now(),
  execute: async (work, units, report, signal) => {
    return runJob(
      work,
      {
        ...{ engine, files, results: resultsFolder(setup.results), version: 'test' },
        units: {
          get: (key) => units.get(key),
          async set(key, value) {
            computed += 1;
            if (computed === setup.fate?.units) process.kill(process.pid, setup.fate.signal);
            try {
              await units.set(key, value);
            } catch (error) {
              say('lost');
              throw error;
            }
            say('unit');
          },
        },
      },
      report,
      signal,
    );
  },
  onError: (error) => say(`error ${error.code} ${error.message}`),
});
say('ready');
const looking = setInterval(() => {
  void queue.counts().then(({ queued, running }) => {
    if (queued + running > 0) return;
    clearInterval(looking);
    say('idle');
  });
}, 100);
process.once('SIGTERM', () => {
  clearInterval(looking);
  void runner
    .stop()
    .then(() => queue.close())
    .then(() => process.exit(0));
});
