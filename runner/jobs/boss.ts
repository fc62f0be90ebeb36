import { createHash } from 'node:crypto';
import PgBoss from 'pg-boss';
import type { Database, Sql } from './database.ts';
import { QUEUE_SCHEMA } from './tables.ts';

/** Which model a queue is for: a name, and the weights under it where they are known. */
export interface QueueModel {
  readonly name: string;
  /** Identity of the weights; null where it is not known before they are loaded. */
  readonly weights: string | null;
}

/** Name of the queue of a model: other weights under the same name are another queue. */
export const queueName = ({ name, weights }: QueueModel): string =>
  `model-${createHash('sha256')
    .update(JSON.stringify([name, weights]))
    .digest('hex')
    .slice(0, 32)}`;

/**
 * The queue, which pg-boss keeps: what waits, in which order, and that one runner gets it. Everything is done within a transaction of
 * ours, so that the queue and the table of jobs never disagree. How long a job may be held is not pg-boss's business but the lease's
 * (its limit would be 24 hours from the beginning, whatever the job says of itself), and an entry is deleted when its job ends.
 */
export class Boss {
  readonly #boss: PgBoss;
  readonly #queues = new Set<string>();

  private constructor(boss: PgBoss) {
    this.#boss = boss;
  }

  /** @throws jobs/database */
  static async start(database: Database): Promise<Boss> {
    return database.alone(async (sql) => {
      // Only this start goes through the connection that is alone; later calls name their own.
      const first = executor(sql);
      const boss = new PgBoss({ db: first, schema: QUEUE_SCHEMA, supervise: false, schedule: false });
      boss.on('error', () => undefined);
      await boss.start();
      first.use(database);
      return new Boss(boss);
    });
  }

  /** Makes the queue where it is not there. Not within a transaction. */
  async prepare(queue: string): Promise<void> {
    if (this.#queues.has(queue)) return;
    await this.#boss.createQueue(queue);
    this.#queues.add(queue);
  }

  /** @returns the entry */
  async put(sql: Sql, queue: string, job: string): Promise<string> {
    const options = { db: executor(sql), retryLimit: 1_000_000, retryDelay: 0, expireInHours: 23 };
    const entry = await this.#boss.send(queue, { job }, options);
    if (entry === null) throw new Error(`the queue ${queue} took no entry`);
    return entry;
  }

  /** The next entry with its job, which nobody else gets until it is given back. */
  async next(sql: Sql, queue: string): Promise<{ readonly entry: string; readonly job: string } | null> {
    const [found] = await this.#boss.fetch<{ job: string }>(queue, { db: executor(sql), batchSize: 1 });
    return found ? { entry: found.id, job: found.data.job } : null;
  }

  /** An entry that was taken waits again, at its old place. */
  async giveBack(sql: Sql, queue: string, entry: string): Promise<void> {
    await this.#boss.fail(queue, entry, {}, { db: executor(sql) });
  }

  async remove(sql: Sql, queue: string, entry: string): Promise<void> {
    await this.#boss.deleteJob(queue, entry, { db: executor(sql) });
  }

  async stop(): Promise<void> {
    await this.#boss.stop({ graceful: false, close: false });
  }
}

interface Executor extends PgBoss.Db {
  use(sql: Sql): void;
}

function executor(sql: Sql): Executor {
  let current = sql;
  return {
    use: (other) => (current = other),
    executeSql: async (text, values: unknown[] | undefined) => ({ rows: [...(await current.query(text, values))] }),
  };
}
