import { TillerError, type ErrorData } from '../../src/errors/error.ts';
import { jobId } from '../../src/jobs/job-identity.ts';
import { neededTensors, tensorBytes } from '../../src/jobs/job-graph.ts';
import type { JobResult } from '../../src/jobs/job-result.ts';
import {
  jobEnded,
  type JobDetails,
  type JobDocument,
  type JobRow,
  type JobState,
  type JobSubmission,
  type JobView,
} from '../../src/jobs/job.ts';
import { Boss, queueName, type QueueModel } from './boss.ts';
import type { Database, Row, Sql } from './database.ts';
import { JobLease } from './job-lease.ts';
import { removeEnded, type Retention } from './retention.ts';
import { prepareTables } from './tables.ts';
import { viewColumns, viewOf } from './views.ts';

export interface JobQueueOptions {
  /** How long a runner may say nothing before its job goes to another, ms. @default 30,000 */
  readonly leaseMs?: number;
  /** How often a job may lose its runner before it is given up. @default 5 */
  readonly mostLosses?: number;
}

/** Jobs listed at most. */
const mostListed = 500;
/** Rows of a job given at once. */
const mostRows = 10_000;

/**
 * Jobs in a database, which several runners may share. Each change is one transaction, so that a process killed at any moment leaves
 * every job in exactly one state, and the clock that counts is the database's.
 */
export class JobQueue {
  readonly #database: Database;
  readonly #boss: Boss;
  readonly #leaseMs: number;
  readonly #mostLosses: number;
  readonly #waiting = new Set<() => void>();

  private constructor(database: Database, boss: Boss, { leaseMs = 30_000, mostLosses = 5 }: JobQueueOptions) {
    this.#database = database;
    this.#boss = boss;
    this.#leaseMs = leaseMs;
    this.#mostLosses = mostLosses;
  }

  /** Makes tables and queue where they are not there. The database is then the queue's, which closes it. @throws jobs/database */
  static async open(database: Database, options: JobQueueOptions = {}): Promise<JobQueue> {
    await database.alone(prepareTables);
    const queue = new JobQueue(database, await Boss.start(database), options);
    // Whoever ran something in a database that only this process can use is dead: nobody need wait for its lease.
    if (database.sole) {
      await database.query(`UPDATE tiller.jobs SET lease = now() - interval '1 second' WHERE state = 'running'`);
      await queue.expire();
    }
    return queue;
  }

  get leaseMs(): number {
    return this.#leaseMs;
  }

  /**
   * Keeps a job and queues it once its vectors are there. What was submitted before is found, whatever became of it; with `again` a
   * failed or cancelled job is queued anew and goes on with what is finished.
   * @throws jobs/tensor, jobs/database
   */
  async submit({ job, tensors = {}, again = false }: JobSubmission, weights: string | null): Promise<JobView> {
    const id = jobId(job, weights);
    const needed = neededTensors(job);
    const given = needed.flatMap((hash) => (Object.hasOwn(tensors, hash) ? [{ hash, bytes: tensorBytes(hash, tensors[hash]) }] : []));
    const queue = queueName({ name: job.model, weights });
    await this.#boss.prepare(queue);
    const view = await this.#database.transaction(async (sql) => {
      // The job first: from here on nobody removes vectors.
      const state = await this.#keep(sql, [id, job.kind, job.model, weights, queue, JSON.stringify(job)]);
      for (const { hash, bytes } of given)
        await sql.query('INSERT INTO tiller.tensors (hash, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING', [hash, bytes]);
      const begin = state === 'received' || (again && (state === 'failed' || state === 'cancelled'));
      const missing = begin ? await missingTensors(sql, needed) : [];
      if (begin && missing.length === 0) {
        const entry = await this.#boss.put(sql, queue, id);
        await sql.query(
          `UPDATE tiller.jobs SET state = 'queued', boss = $2, queued = now(), losses = 0, cancelling = false, error = NULL, progress = NULL,
             runner = NULL, lease = NULL, ended = NULL, changed = now(), revision = revision + 1 WHERE id = $1`,
          [id, entry],
        );
      } else if (begin && state !== 'received') {
        await sql.query(
          `UPDATE tiller.jobs SET state = 'received', error = NULL, ended = NULL, changed = now(), revision = revision + 1 WHERE id = $1`,
          [id],
        );
      }
      return this.#view(sql, id);
    });
    this.wake();
    return view;
  }

  /** A job's row, made where it is not there. @returns its state */
  async #keep(sql: Sql, values: readonly unknown[]): Promise<JobState> {
    for (;;) {
      await sql.query(
        `INSERT INTO tiller.jobs (id, kind, model, weights, queue, document, state) VALUES ($1, $2, $3, $4, $5, $6, 'received') ON CONFLICT DO NOTHING`,
        values,
      );
      const [row] = (await sql.query('SELECT state FROM tiller.jobs WHERE id = $1 FOR UPDATE', [values[0]])) as (Row | undefined)[];
      // It was there and was removed just now, as an old one.
      if (row) return row.state as JobState;
    }
  }

  /** Removes ended jobs that are not to be kept, with all that only they have. @returns how many */
  async removeEnded(keep: Retention): Promise<number> {
    let total = 0;
    for (let count = 1; count > 0; total += count) count = await this.#database.transaction((sql) => removeEnded(sql, keep));
    return total;
  }

  /** @throws jobs/unknown, jobs/database */
  view(id: string): Promise<JobView> {
    return this.#view(this.#database, id);
  }

  /** A job with its rows from one on, at most 10,000 of them. @throws jobs/unknown, jobs/database */
  async details(id: string, from = 0): Promise<JobDetails> {
    // The view first: rows that come in between are then with it or come next time, and never missing at an end.
    const view = await this.view(id);
    const rows = await this.#database.query('SELECT content FROM tiller.rows WHERE job = $1 AND place >= $2 ORDER BY place LIMIT $3', [
      id,
      from,
      mostRows,
    ]);
    return { ...view, rows: rows.map(({ content }) => JSON.parse(content as string) as JobRow), rowsEnd: from + rows.length };
  }

  /** The newest 500, the newest first. */
  async list(): Promise<JobView[]> {
    const rows = await this.#database.query(`SELECT ${viewColumns} FROM tiller.jobs j ORDER BY j.received DESC, j.id LIMIT $1`, [
      mostListed,
    ]);
    return rows.map((row) => viewOf(row, []));
  }

  /** How many jobs are in each state. */
  async counts(): Promise<Readonly<Record<JobState, number>>> {
    const counts = { received: 0, queued: 0, running: 0, done: 0, failed: 0, cancelled: 0 };
    const rows = await this.#database.query('SELECT state, count(*)::int AS count FROM tiller.jobs GROUP BY state');
    for (const { state, count } of rows) counts[state as JobState] = count as number;
    return counts;
  }

  /** A job that waits is cancelled at once, one that runs after the unit it is at; one that has ended stays as it is. @throws jobs/unknown */
  async cancel(id: string): Promise<JobView> {
    return this.#database.transaction(async (sql) => {
      const [row] = await sql.query('SELECT state, queue, boss FROM tiller.jobs WHERE id = $1 FOR UPDATE', [id]);
      if (!(row as Row | undefined)) throw new TillerError('jobs/unknown', { id });
      const state = row.state as JobState;
      if (state === 'running') {
        await sql.query(
          'UPDATE tiller.jobs SET cancelling = true, changed = now(), revision = revision + 1 WHERE id = $1 AND NOT cancelling',
          [id],
        );
      } else if (!jobEnded(state)) {
        if (row.boss !== null) await this.#boss.remove(sql, row.queue as string, row.boss as string);
        await sql.query(
          `UPDATE tiller.jobs SET state = 'cancelled', boss = NULL, ended = now(), changed = now(), revision = revision + 1 WHERE id = $1`,
          [id],
        );
      }
      return this.#view(sql, id);
    });
  }

  /** The text of the result, JSON. @throws jobs/unknown, jobs/unfinished, jobs/cancelled, what the job failed with */
  async resultText(id: string): Promise<string> {
    const { state, error } = await this.view(id);
    if (error) throw TillerError.fromJSON(error);
    if (state === 'cancelled') throw new TillerError('jobs/cancelled', { id });
    if (state !== 'done') throw new TillerError('jobs/unfinished', { id, state });
    const [{ result }] = await this.#database.query('SELECT result FROM tiller.jobs WHERE id = $1', [id]);
    return result as string;
  }

  async result(id: string): Promise<JobResult> {
    return JSON.parse(await this.resultText(id)) as JobResult;
  }

  /**
   * The next job of these models, or null. The runner must write or beat within the lease, or the job goes to another.
   * @param runner its name, for people
   */
  async take(models: readonly QueueModel[], runner: string): Promise<JobLease | null> {
    const queues = models.map(queueName);
    const waiting = await this.#database.query(
      `SELECT queue, min(queued) AS since FROM tiller.jobs WHERE state = 'queued' AND queue = ANY ($1::text[]) GROUP BY queue ORDER BY since`,
      [queues],
    );
    for (const { queue } of waiting) {
      const lease = await this.#takeFrom(queue as string, runner);
      if (lease) return lease;
    }
    return null;
  }

  async #takeFrom(queue: string, runner: string): Promise<JobLease | null> {
    const taken = await this.#database.transaction(async (sql) => {
      const next = await this.#boss.next(sql, queue);
      if (!next) return null;
      const [row] = (await sql.query(
        `UPDATE tiller.jobs SET state = 'running', attempt = attempt + 1, runner = $3, lease = now() + $4 * interval '1 millisecond',
           started = coalesce(started, now()), changed = now(), revision = revision + 1
         WHERE id = $1 AND boss = $2 AND state = 'queued'
         RETURNING attempt, (extract(epoch FROM started) * 1000)::float8 AS started`,
        [next.job, next.entry, runner, this.#leaseMs],
      )) as (Row | undefined)[];
      // An entry without a job that waits for it would be a defect; it is not to be met again and again.
      if (!row) await this.#boss.remove(sql, queue, next.entry);
      return row ? { id: next.job, entry: next.entry, attempt: row.attempt as number, started: row.started as number } : null;
    });
    if (!taken) return null;
    const { id, entry, attempt, started } = taken;
    const [{ document: text }] = await this.#database.query('SELECT document FROM tiller.jobs WHERE id = $1', [id]);
    const document = JSON.parse(text as string) as JobDocument;
    const tensors = await this.#tensors(neededTensors(document));
    const work = { document, tensors, made: new Date(started).toISOString() };
    return new JobLease(this.#database, this.#boss, {
      id,
      entry,
      queue,
      attempt,
      work,
      leaseMs: this.#leaseMs,
      mostLosses: this.#mostLosses,
    });
  }

  async #tensors(hashes: readonly string[]): Promise<Map<string, Uint8Array>> {
    const rows =
      hashes.length === 0
        ? []
        : await this.#database.query('SELECT hash, bytes FROM tiller.tensors WHERE hash = ANY ($1::text[])', [hashes]);
    return new Map(rows.map(({ hash, bytes }) => [hash as string, new Uint8Array(bytes as Uint8Array)]));
  }

  /**
   * Jobs whose runner said nothing for longer than its lease wait again; one that has lost too many fails, one that is being cancelled is
   * cancelled. Any runner may do this at any time.
   * @returns how many
   */
  async expire(): Promise<number> {
    const count = await this.#database.transaction(async (sql) => {
      const rows = await sql.query(
        `SELECT id, queue, boss, attempt, losses, cancelling FROM tiller.jobs WHERE state = 'running' AND lease < now() FOR UPDATE SKIP LOCKED`,
      );
      for (const { id, queue, boss, attempt, losses, cancelling } of rows) {
        const over = cancelling === true ? 'cancelled' : (losses as number) + 1 >= this.#mostLosses ? 'failed' : null;
        if (over === null) await this.#boss.giveBack(sql, queue as string, boss as string);
        else await this.#boss.remove(sql, queue as string, boss as string);
        const error: ErrorData | null =
          over === 'failed' ? new TillerError('jobs/runners-lost', { attempts: attempt as number }).toJSON() : null;
        // It is nobody's now: whatever its runner still writes is refused.
        await sql.query(
          `UPDATE tiller.jobs SET state = $2, losses = losses + 1, error = $3, lease = NULL, cancelling = false,
             boss = CASE WHEN $2 = 'queued' THEN boss END, ended = CASE WHEN $2 <> 'queued' THEN now() END,
             changed = now(), revision = revision + 1 WHERE id = $1`,
          [id, over ?? 'queued', error && JSON.stringify(error)],
        );
      }
      return rows.length;
    });
    if (count > 0) this.wake();
    return count;
  }

  /** Waits until something may have come into the queue through this process, or the time is over. */
  pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
      signal.addEventListener('abort', done);
      if (signal.aborted) done();
    });
  }

  /** Ends all pauses. */
  wake(): void {
    for (const done of [...this.#waiting]) done();
  }

  async close(): Promise<void> {
    this.wake();
    await this.#boss.stop();
    await this.#database.close();
  }

  async #view(sql: Sql, id: string): Promise<JobView> {
    const [row] = (await sql.query(`SELECT ${viewColumns} FROM tiller.jobs j WHERE j.id = $1`, [id])) as (Row | undefined)[];
    if (!row) throw new TillerError('jobs/unknown', { id });
    if (row.state !== 'received') return viewOf(row, []);
    const [{ document }] = await sql.query('SELECT document FROM tiller.jobs WHERE id = $1', [id]);
    return viewOf(row, await missingTensors(sql, neededTensors(JSON.parse(document as string) as JobDocument)));
  }
}

async function missingTensors(sql: Sql, needed: readonly string[]): Promise<string[]> {
  if (needed.length === 0) return [];
  const rows = await sql.query('SELECT hash FROM tiller.tensors WHERE hash = ANY ($1::text[])', [needed]);
  const there = new Set(rows.map(({ hash }) => hash));
  return needed.filter((hash) => !there.has(hash));
}
