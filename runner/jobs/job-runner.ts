import type { ErrorCode } from '../../src/errors/catalogue.ts';
import type { TillerError } from '../../src/errors/error.ts';
import type { UnitStore } from '../../src/evals/unit-store.ts';
import type { JobResult } from '../../src/jobs/job-result.ts';
import { asTillerError } from '../output.ts';
import type { QueueModel } from './boss.ts';
import type { JobLease } from './job-lease.ts';
import type { JobListener, JobWork } from './job-place.ts';
import type { JobQueue } from './job-queue.ts';
import type { Retention } from './retention.ts';

/**
 * Does the work of a job, wherever an engine is. What it throws ends the job as failed, but for the errors of `passing`: those are the
 * machine's and not the job's, and it is tried again.
 * @param units of all runners; `set` rejects once the job is another's or cancelled, and that is to be thrown on
 * @param signal set when the work is to end: within a unit
 */
export type JobExecutor = (work: JobWork, units: UnitStore, report: JobListener, signal: AbortSignal) => Promise<JobResult>;

export interface JobRunnerOptions {
  readonly queue: JobQueue;
  /** Models that this runner serves and that fit it, asked anew every time. */
  readonly models: () => readonly QueueModel[];
  /** For people: which machine and process. */
  readonly name: string;
  readonly execute: JobExecutor;
  /** Jobs at once, each on another model. @default 1 */
  readonly slots?: number;
  /** How often the queue is looked at while nothing is heard of it, ms. @default 1000 */
  readonly pollMs?: number;
  /** Reports are written at most this often, ms. @default 500 */
  readonly reportMs?: number;
  /** A job that reports nothing for so long is given to another, ms. @default 30 minutes */
  readonly stallMs?: number;
  /** Which ended jobs are kept: looked after at the start and every hour. @default all of them */
  readonly keep?: Retention;
  /** Monotonic, ms. */
  readonly now: () => number;
  /** What went wrong outside of any job: the database does not answer. */
  readonly onError?: (error: TillerError) => void;
}

/** Between two looks for ended jobs that are not to be kept, ms. */
const tidyMs = 3_600_000;

/** Errors of the machine: the job waits again, for this runner or another. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'device/lost',
  'network/failed',
  'store/unavailable',
  'runner/engine-restarted',
  'runner/busy',
  'runner/stopping',
]);

/** Takes jobs of a queue, one after another, and hands them to an executor, until it is stopped. */
export class JobRunner {
  readonly #options: Required<Omit<JobRunnerOptions, 'onError' | 'keep'>> & Pick<JobRunnerOptions, 'onError' | 'keep'>;
  readonly #stop = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  readonly #loop: Promise<void>;

  constructor(options: JobRunnerOptions) {
    this.#options = { slots: 1, pollMs: 1000, reportMs: 500, stallMs: 30 * 60_000, ...options };
    this.#loop = this.#turn();
  }

  /** Jobs at work. */
  get busy(): number {
    return this.#running.size;
  }

  /** Ends what runs, gives its jobs back to the queue, and takes no more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await Promise.all(this.#running.values());
  }

  async #turn(): Promise<void> {
    const { queue, models, name, slots, pollMs, keep, now, onError } = this.#options;
    const { signal } = this.#stop;
    let expired = -Infinity;
    let tidied = -Infinity;
    while (!signal.aborted) {
      let lease: JobLease | null = null;
      try {
        if (now() - expired > queue.leaseMs / 3) {
          expired = now();
          await queue.expire();
        }
        if (keep && now() - tidied > tidyMs) {
          tidied = now();
          await queue.removeEnded(keep);
        }
        const free = models().filter((model) => !this.#running.has(model.name));
        if (this.#running.size < slots && free.length > 0) lease = await queue.take(free, name);
      } catch (error) {
        onError?.(asTillerError(error));
      }
      if (lease) this.#start(lease);
      else await queue.pause(Math.min(pollMs, queue.leaseMs / 3), signal);
    }
  }

  #start(lease: JobLease): void {
    const { model } = lease.work.document;
    const done = this.#run(lease)
      .catch((error: unknown) => this.#options.onError?.(asTillerError(error)))
      .finally(() => {
        this.#running.delete(model);
        this.#options.queue.wake();
      });
    this.#running.set(model, done);
  }

  async #run(lease: JobLease): Promise<void> {
    let heard = this.#options.now();
    const report: JobListener = (told) => {
      heard = this.#options.now();
      lease.report(told);
    };
    const beats = setInterval(() => void this.#beat(lease, heard), this.#options.reportMs);
    const signal = AbortSignal.any([lease.signal, this.#stop.signal]);
    try {
      await lease.finish(await this.#options.execute(lease.work, lease.units, report, signal));
    } catch (thrown) {
      await this.#settle(lease, asTillerError(thrown));
    } finally {
      clearInterval(beats);
    }
  }

  /** Says that the job is alive, with what it told; gives it to another where it has told nothing for too long. */
  async #beat(lease: JobLease, heard: number): Promise<void> {
    const { now, stallMs, onError } = this.#options;
    try {
      if (now() - heard > stallMs) await lease.release(true);
      else await lease.beat(now());
    } catch (error) {
      if (!lease.over) onError?.(asTillerError(error));
    }
  }

  async #settle(lease: JobLease, error: TillerError): Promise<void> {
    if (lease.over || error.code === 'jobs/lost-lease') return;
    if (lease.cancelling) return lease.cancelled();
    if (this.#stop.signal.aborted) return lease.release(false);
    // Without a database nothing can be said; the lease runs out.
    if (error.code === 'jobs/database') return lease.drop();
    if (passing.has(error.code)) return lease.release(true);
    return lease.fail(error);
  }
}
