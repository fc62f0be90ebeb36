import { hostname } from 'node:os';
import { join } from 'node:path';
import type { TillerError } from '../../src/errors/error.ts';
import type { MemoryRoom } from '../../src/model/memory-room.ts';
import { openEmbeddedDatabase } from '../jobs/embedded-database.ts';
import { JobQueue } from '../jobs/job-queue.ts';
import { JobRunner } from '../jobs/job-runner.ts';
import { openPostgres } from '../jobs/postgres-database.ts';
import { defaultRetention, type Retention } from '../jobs/retention.ts';
import { adapterRoom, hostRoom } from '../machine-room.ts';
import type { MoreRoutes } from './app.ts';
import type { RunnerConfig } from './config.ts';
import { poolExecutor } from './job-executor.ts';
import { jobRoutes } from './routes/jobs.ts';

export interface ServedJobsOptions {
  /** Connection string of PostgreSQL; null: the embedded database, in the runner's folder. */
  readonly database: string | null;
  readonly config: Pick<RunnerConfig, 'folder' | 'engine'>;
  /** A runner may say nothing of a job for so long before another takes it, ms. @default the queue's */
  readonly leaseMs?: number;
  /** Which ended jobs are kept. @default 30 days, 1000 jobs */
  readonly keep?: Retention;
  /** What there is for models. @default what the machine has, or its GPU where that is asked for */
  readonly room?: MemoryRoom;
  readonly onError: (error: TillerError) => void;
}

/** The jobs of a runner: its queue, its endpoints, and the taking of jobs. */
export interface ServedJobs {
  /** Endpoints; with them the runner begins to take jobs. */
  readonly more: MoreRoutes;
  /** Ends what runs and gives it back to the queue. Before engines are closed. */
  stop(): Promise<void>;
  /** After the server is closed. */
  close(): Promise<void>;
}

/** Longer than any transaction takes. */
const idleMs = 30_000;

/** @throws jobs/folder-in-use, jobs/database */
export async function openServedJobs({
  database,
  config,
  leaseMs,
  keep = defaultRetention,
  room: given,
  onError,
}: ServedJobsOptions): Promise<ServedJobs> {
  const room = given ?? (await roomOf(config));
  const opened = await (database === null ? openEmbeddedDatabase(join(config.folder, 'jobs')) : openPostgres(database, leaseMs ?? idleMs));
  let queue: JobQueue;
  try {
    queue = await JobQueue.open(opened, leaseMs === undefined ? {} : { leaseMs });
  } catch (error) {
    await opened.close();
    throw error;
  }
  let taking: JobRunner | null = null;
  return {
    async more(app, runner) {
      const weights = (model: string): string => runner.files(model).identity;
      jobRoutes(app, { queue, weights });
      const served = runner.names.filter((name) => config.engine.anyway || runner.fits(name, room));
      const models = served.map((name) => ({ name, weights: weights(name) }));
      taking = new JobRunner({
        queue,
        models: () => models,
        name: `${hostname()}, process ${process.pid}`,
        execute: poolExecutor(runner.pool),
        keep,
        now: runner.now,
        onError,
      });
    },
    stop: async () => taking?.stop(),
    close: () => queue.close(),
  };
}

/** What there is for models when the runner starts; idle ones give way, so what is loaded later is not taken off. */
async function roomOf({ engine }: ServedJobsOptions['config']): Promise<MemoryRoom> {
  const adapter = engine.engine === 'webgpu' ? await adapterRoom(null) : null;
  return adapter === null || 'missing' in adapter ? hostRoom() : adapter;
}
