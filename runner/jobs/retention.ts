import { neededTensors } from '../../src/jobs/job-graph.ts';
import type { JobDocument } from '../../src/jobs/job.ts';
import type { Sql } from './database.ts';

/** Which ended jobs are kept. */
export interface Retention {
  /** Time since their end, ms; null: for ever. */
  readonly ageMs: number | null;
  /** How many, the newest; null: any number. */
  readonly count: number | null;
}

export const defaultRetention: Retention = { ageMs: 30 * 86_400_000, count: 1000 };

/** Whoever waits for a job gets its result in this time, ms, however many end after it. */
const graceMs = 3_600_000;
/** Jobs removed in one transaction: their documents may be large. */
const most = 100;

/**
 * Removes ended jobs that are not to be kept, what they told, units that only jobs made that are gone, and vectors that no other job names. Of a job
 * that has not ended nothing is touched. Within a transaction.
 * @returns how many; there may be more
 */
export async function removeEnded(sql: Sql, { ageMs, count }: Retention): Promise<number> {
  // A job that is being submitted names its vectors from here on, or waits.
  await sql.query('LOCK TABLE tiller.jobs IN SHARE ROW EXCLUSIVE MODE');
  const removed = await sql.query(
    `WITH ended AS (
       SELECT id, ended, row_number() OVER (ORDER BY ended DESC, id) AS place FROM tiller.jobs WHERE state IN ('done', 'failed', 'cancelled')
     ), old AS (
       SELECT id FROM ended WHERE ended < now() - $1::float8 * interval '1 millisecond'
         AND (ended < now() - $2::float8 * interval '1 millisecond' OR place > $3::int) ORDER BY ended LIMIT $4
     )
     DELETE FROM tiller.jobs WHERE id IN (SELECT id FROM old) RETURNING document`,
    [graceMs, ageMs, count, most],
  );
  if (removed.length === 0) return 0;
  await sql.query('DELETE FROM tiller.units u WHERE NOT EXISTS (SELECT 1 FROM tiller.jobs j WHERE j.id = u.job)');
  const named = new Set(removed.flatMap(({ document }) => neededTensors(JSON.parse(document as string) as JobDocument)));
  // A document names a vector by its hash, which nothing else in it could be.
  if (named.size > 0)
    await sql.query(
      `DELETE FROM tiller.tensors t WHERE t.hash = ANY ($1::text[])
         AND NOT EXISTS (SELECT 1 FROM tiller.jobs j WHERE position(t.hash IN j.document) > 0)`,
      [[...named]],
    );
  return removed.length;
}
