import { TillerError } from '../../src/errors/error.ts';
import { unitKey, type Json, type UnitStore } from '../../src/evals/unit-store.ts';
import type { JobResult } from '../../src/jobs/job-result.ts';
import type { JobProgress, JobReport, JobRow } from '../../src/jobs/job.ts';
import type { Boss } from './boss.ts';
import type { Database, Row, Sql } from './database.ts';
import type { JobWork } from './job-place.ts';

/** Without news, how often a runner says that it lives, and hears whether the job is cancelled, ms; with short leases more often. */
const beatMs = 2000;

interface Held {
  readonly id: string;
  readonly entry: string;
  readonly queue: string;
  readonly attempt: number;
  readonly work: JobWork;
  readonly leaseMs: number;
  readonly mostLosses: number;
}

/**
 * A job as one runner holds it. Everything is written with the number of the attempt and only while that is the present one: a runner
 * that was thought dead and comes back writes nothing over its successor's work.
 */
export class JobLease {
  readonly #database: Database;
  readonly #boss: Boss;
  readonly #held: Held;
  readonly #stop = new AbortController();
  #progress: JobProgress | null = null;
  #rows: JobRow[] = [];
  #dirty = false;
  #beating = false;
  #beaten = -Infinity;
  /** The last write of reports. */
  #writing: Promise<void> = Promise.resolve();
  #over = false;
  #cancelling = false;

  constructor(database: Database, boss: Boss, held: Held) {
    this.#database = database;
    this.#boss = boss;
    this.#held = held;
  }

  get id(): string {
    return this.#held.id;
  }

  get attempt(): number {
    return this.#held.attempt;
  }

  get work(): JobWork {
    return this.#held.work;
  }

  /** Set once the job is to be left: it is cancelled, or another's. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Whether it has ended here: finished, given back, or another runner's. */
  get over(): boolean {
    return this.#over;
  }

  get cancelling(): boolean {
    return this.#cancelling;
  }

  /** Finished units: of any job and runner to read, of this attempt to write. `set` throws jobs/lost-lease, and request/aborted where the job is cancelled. */
  readonly units: UnitStore = {
    get: async (key) => {
      const [row] = (await this.#database.query('SELECT content FROM tiller.units WHERE key = $1', [key])) as (Row | undefined)[];
      return row && (JSON.parse(row.content as string) as unknown);
    },
    set: (key, value) => this.#setUnit(key, value),
  };

  async #setUnit(key: string, value: Json): Promise<void> {
    const { id, attempt } = this.#held;
    const [owner] = (await this.#database.query(
      `WITH owner AS (SELECT cancelling FROM tiller.jobs WHERE id = $1 AND attempt = $2 AND state = 'running' FOR SHARE),
       kept AS (INSERT INTO tiller.units (key, content, job, attempt) SELECT $3::text, $4::text, $1, $2 FROM owner ON CONFLICT (key) DO NOTHING)
       SELECT cancelling FROM owner`,
      [id, attempt, key, JSON.stringify(value)],
    )) as (Row | undefined)[];
    if (!owner) this.#lose();
    this.#heed(owner?.cancelling === true);
    if (this.#cancelling) throw new TillerError('request/aborted');
  }

  /** Takes what the job tells; `beat` writes it. */
  report(report: JobReport): void {
    if (report.type === 'progress') {
      const { stage, done, total, unit, reused } = report;
      this.#progress = { stage, done, total, unit, reused };
    } else this.#rows.push(report);
    this.#dirty = true;
  }

  /** Where something was reported, or nothing was said for two seconds, prolongs the lease and writes it. @throws jobs/lost-lease, jobs/database */
  async beat(now: number): Promise<void> {
    if (this.#over || this.#beating || !(this.#dirty || now - this.#beaten > Math.min(beatMs, this.#held.leaseMs / 4))) return;
    this.#beating = true;
    const turn = this.#write().finally(() => (this.#beating = false));
    this.#writing = turn.catch(() => undefined);
    await turn;
    this.#beaten = now;
  }

  async #write(): Promise<void> {
    const rows = this.#rows;
    const dirty = this.#dirty;
    this.#rows = [];
    this.#dirty = false;
    try {
      const cancelling = await this.#database.transaction(async (sql) => {
        const owner = await this.#own(
          sql,
          `lease = now() + $3 * interval '1 millisecond', progress = coalesce($4, progress), revision = revision + $5, changed = CASE WHEN $5 > 0 THEN now() ELSE changed END`,
          [this.#held.leaseMs, this.#progress && JSON.stringify(this.#progress), dirty ? 1 : 0],
        );
        await this.#writeRows(sql, rows);
        return owner.cancelling === true;
      });
      this.#heed(cancelling);
    } catch (error) {
      this.#rows = [...rows, ...this.#rows];
      this.#dirty ||= dirty;
      throw error;
    }
  }

  /** Rows that are there are of an earlier attempt, which came to the same. */
  async #writeRows(sql: Sql, rows: readonly JobRow[]): Promise<void> {
    for (const row of rows) {
      const content = JSON.stringify(row);
      await sql.query(
        `INSERT INTO tiller.rows (job, key, place, content)
         SELECT $1, $2, coalesce(max(place) + 1, 0), $3 FROM tiller.rows WHERE job = $1 ON CONFLICT (job, key) DO NOTHING`,
        [this.#held.id, unitKey(JSON.parse(content) as Json), content],
      );
    }
  }

  /** @throws jobs/lost-lease: the result is not kept, the successor makes the same one */
  finish(result: JobResult): Promise<void> {
    return this.#end(`state = 'done', result = $3, error = NULL`, [JSON.stringify(result)]);
  }

  /** @throws jobs/lost-lease */
  fail(error: TillerError): Promise<void> {
    return this.#end(`state = 'failed', error = $3`, [JSON.stringify(error.toJSON())]);
  }

  /** @throws jobs/lost-lease */
  cancelled(): Promise<void> {
    return this.#end(`state = 'cancelled', cancelling = false`, []);
  }

  async #end(change: string, values: readonly unknown[]): Promise<void> {
    await this.#writing;
    const rows = this.#rows;
    const { queue, entry } = this.#held;
    await this.#database.transaction(async (sql) => {
      const progress = `$${3 + values.length}`;
      await this.#own(
        sql,
        `${change}, progress = coalesce(${progress}, progress), boss = NULL, lease = NULL, ended = now(), changed = now(), revision = revision + 1`,
        [...values, this.#progress && JSON.stringify(this.#progress)],
      );
      await this.#writeRows(sql, rows);
      await this.#boss.remove(sql, queue, entry);
    });
    this.drop();
  }

  /**
   * The job waits again, at its old place; one that is being cancelled is cancelled.
   * @param blame whether this counts as a runner lost, of which a job has only some: what it did to this one it may do to the next
   * @throws jobs/lost-lease
   */
  async release(blame: boolean): Promise<void> {
    await this.#writing;
    const { id, attempt, mostLosses } = this.#held;
    const [row] = (await this.#database.query('SELECT losses, cancelling FROM tiller.jobs WHERE id = $1 AND attempt = $2', [
      id,
      attempt,
    ])) as (Row | undefined)[];
    if (row?.cancelling === true) return this.cancelled();
    if (blame && ((row?.losses as number | undefined) ?? 0) + 1 >= mostLosses)
      return this.fail(new TillerError('jobs/runners-lost', { attempts: attempt }));
    await this.#database.transaction(async (sql) => {
      const change = `state = 'queued', runner = NULL, lease = NULL, losses = losses + $3, changed = now(), revision = revision + 1`;
      await this.#own(sql, change, [blame ? 1 : 0]);
      await this.#boss.giveBack(sql, this.#held.queue, this.#held.entry);
    });
    this.drop();
  }

  /** Leaves the job without a word: the lease runs out. */
  drop(): void {
    this.#over = true;
    this.#stop.abort();
  }

  /** Changes the job's row while it is this attempt's. */
  async #own(sql: Sql, change: string, values: readonly unknown[]): Promise<Row> {
    const { id, attempt } = this.#held;
    const [row] = (await sql.query(
      `UPDATE tiller.jobs SET ${change} WHERE id = $1 AND attempt = $2 AND state = 'running' RETURNING cancelling`,
      [id, attempt, ...values],
    )) as (Row | undefined)[];
    return row ?? this.#lose();
  }

  #lose(): never {
    this.drop();
    throw new TillerError('jobs/lost-lease', { id: this.#held.id, attempt: this.#held.attempt });
  }

  #heed(cancelling: boolean): void {
    if (!cancelling) return;
    this.#cancelling = true;
    this.#stop.abort();
  }
}
