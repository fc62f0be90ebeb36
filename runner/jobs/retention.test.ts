import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TillerError } from '../../src/errors/error.ts';
import { buildGraph } from '../../src/graph/vectors.ts';
import { jobGraph } from '../../src/jobs/job-graph.ts';
import type { DamageResult } from '../../src/jobs/job-result.ts';
import type { EvaluateJob, JobSubmission } from '../../src/jobs/job.ts';
import { jobDatabases } from '../../test/job-databases.ts';
import type { Database } from './database.ts';
import type { JobLease } from './job-lease.ts';
import { JobQueue } from './job-queue.ts';

const databases = jobDatabases();

const m = { name: 'm', weights: 'w' };
const job = (seed: number): EvaluateJob => ({
  ...{ tiller: 1, kind: 'evaluate', model: 'm', graph: null, factors: [], seed },
  evaluation: { type: 'damage', neutral: 'stories', maxLength: 64 },
});
const result: DamageResult = {
  ...{ kind: 'damage', engine: {}, graph: null, seed: 0, conditions: [], notes: [] },
  neutral: { sha256: '', documents: 1, tokens: 2 },
};
/** A job whose graph has vectors, each filled with one number. */
function steered(seed: number, fills: readonly number[]): Required<Pick<JobSubmission, 'tensors'>> & JobSubmission {
  const names = fills.map((fill) => `v${fill}`);
  const { graph, tensors } = jobGraph(
    buildGraph({
      model: { family: 'llama', layers: 1, heads: 1, kvHeads: 1, headDim: 1200, hidden: 1200, intermediate: 8 },
      vectors: Object.fromEntries(fills.map((fill, i) => [names[i], { shape: [1200], data: new Float32Array(1200).fill(fill) }])),
      nodes: names.map((name) => ({ id: name, edit: 'add', at: { point: 'resid_post', layer: 0 }, tokens: 'all', vector: name })),
    }),
  );
  return { job: { ...job(seed), graph, factors: [1] }, tensors };
}

const hour = 3_600_000;
const day = 24 * hour;

describe.each(databases)('ended jobs in %s', (_, skipped, openDatabase) => {
  if (skipped) return it.skip('is not installed', () => undefined);
  let database: Database;
  let queue: JobQueue;
  beforeAll(async () => {
    database = await openDatabase();
    queue = await JobQueue.open(database);
  });
  afterAll(() => queue.close());
  beforeEach(async () => {
    for (const table of ['jobs', 'units', 'tensors']) await database.query(`DELETE FROM tiller.${table}`);
  });

  const taken = async (): Promise<JobLease> => {
    const lease = await queue.take([m], 'here');
    if (!lease) throw new Error('nothing was there to take');
    return lease;
  };
  /** As if its last change, and its end, had been so long ago. */
  const past = async (id: string, ms: number): Promise<void> => {
    const time = `now() - ${ms} * interval '1 millisecond'`;
    await database.query(
      `UPDATE tiller.jobs SET received = ${time}, changed = ${time}, ended = CASE WHEN ended IS NULL THEN NULL ELSE ${time} END WHERE id = $1`,
      [id],
    );
  };
  /** A job that came to an end so long ago, with a unit and a row of its own. */
  const over = async (submission: JobSubmission, ms: number, end: 'done' | 'failed' | 'cancelled' = 'done'): Promise<string> => {
    const { id } = await queue.submit(submission, 'w');
    const lease = await taken();
    expect(lease.id).toBe(id);
    await lease.units.set(`unit ${id}`, 1);
    lease.report({ type: 'note', text: id });
    if (end === 'done') await lease.finish(result);
    else if (end === 'failed') await lease.fail(new TillerError('internal', { problem: 'x' }));
    else await lease.cancelled();
    await past(id, ms);
    return id;
  };
  const ids = async (): Promise<string[]> => (await queue.list()).map(({ id }) => id).sort();
  const left = async (table: 'units' | 'rows' | 'tensors', column: string): Promise<unknown[]> =>
    (await database.query(`SELECT ${column} AS value FROM tiller.${table} ORDER BY 1`)).map(({ value }) => value);

  it('go when their end is too long ago, with units and rows; those that have not ended never do', async () => {
    const old = [];
    for (const [seed, end] of [...(['done', 'failed', 'cancelled'] as const).entries()])
      old.push(await over({ job: job(seed) }, 31 * day, end));
    const young = await over({ job: job(3) }, 29 * day);
    const running = (await queue.submit({ job: job(4) }, 'w')).id;
    const lease = await taken();
    await lease.units.set('unit of the running one', 1);
    const queued = (await queue.submit({ job: job(5) }, 'w')).id;
    const received = await queue.submit({ job: steered(6, [1]).job }, 'w');
    expect(received.state).toBe('received');
    for (const id of [running, queued, received.id]) await past(id, 400 * day);
    expect(await queue.removeEnded({ ageMs: null, count: null })).toBe(0);
    expect(await queue.removeEnded({ ageMs: 30 * day, count: null })).toBe(old.length);
    const kept = [young, running, queued, received.id].sort();
    expect(await ids()).toEqual(kept);
    expect(await left('units', 'key')).toEqual([`unit ${young}`, 'unit of the running one'].sort());
    expect(await left('rows', 'job')).toEqual([young]);
    // The one that runs goes on, and who asks for one that is gone is told.
    await lease.finish(result);
    await expect(queue.view(old[0])).rejects.toMatchObject({ code: 'jobs/unknown' });
    const again = await queue.submit({ job: job(0) }, 'w');
    expect(again).toMatchObject({ id: old[0], state: 'queued', attempt: 0 });
    for (const id of [queued, received.id, again.id]) await queue.cancel(id);
  });

  it('go when there are more than are kept, the oldest first, but none of the last hour', async () => {
    const all = [];
    for (let seed = 0; seed < 5; seed++) all.push(await over({ job: job(seed) }, (seed + 2) * hour));
    const fresh = await over({ job: job(5) }, hour / 2);
    expect(await queue.removeEnded({ ageMs: 30 * day, count: 4 })).toBe(2);
    expect(await ids()).toEqual([...all.slice(0, 3), fresh].sort());
    expect(await queue.removeEnded({ ageMs: null, count: 1 })).toBe(3);
    expect(await ids()).toEqual([fresh]);
    await over({ job: job(6) }, hour / 3);
    expect(await queue.removeEnded({ ageMs: 0, count: 1 })).toBe(0);
  });

  it('are removed however many they are', async () => {
    await database.query(
      `INSERT INTO tiller.jobs (id, kind, model, queue, document, state, ended)
       SELECT 'many ' || n, 'evaluate', 'm', 'q', $1, 'done', now() - interval '90 days' FROM generate_series(1, 250) n`,
      [JSON.stringify(job(1))],
    );
    expect(await queue.removeEnded({ ageMs: 30 * day, count: null })).toBe(250);
    expect(await ids()).toEqual([]);
  });

  it('leave vectors that other jobs name, and take the others along', async () => {
    const [both, one, waiting] = [steered(1, [1, 2]), steered(2, [2, 3]), steered(3, [3])];
    const hash = (fill: number): string => Object.keys(steered(0, [fill]).tensors)[0];
    const old = await over(both, 31 * day);
    await over(one, 31 * day);
    const { id } = await queue.submit(waiting, 'w');
    await past(id, 400 * day);
    await database.query('UPDATE tiller.jobs SET ended = now() WHERE id <> $1 AND ended IS NOT NULL', [old]);
    await queue.removeEnded({ ageMs: 30 * day, count: null });
    expect(await left('tensors', 'hash')).toEqual([hash(2), hash(3)].sort());
    for (const each of (await ids()).filter((other) => other !== id)) await past(each, 31 * day);
    await queue.removeEnded({ ageMs: 30 * day, count: null });
    expect(await left('tensors', 'hash')).toEqual([hash(3)]);
    const lease = await taken();
    expect([...lease.work.tensors.keys()]).toEqual([hash(3)]);
    await lease.finish(result);
    // What is asked for again needs its vectors again.
    expect(await queue.submit({ job: both.job }, 'w')).toMatchObject({ state: 'received', missing: Object.keys(both.tensors) });
  });

  it('may be submitted again while they are removed', async () => {
    const submission = steered(1, [1]);
    for (let i = 0; i < 5; i++) {
      const id = await over(submission, 31 * day, 'failed');
      const [view] = await Promise.all([
        queue.submit({ ...submission, again: true }, 'w'),
        queue.removeEnded({ ageMs: 30 * day, count: null }),
      ]);
      expect(view).toMatchObject({ id, state: 'queued', missing: [] });
      const lease = await taken();
      expect(lease.work.tensors.size).toBe(1);
      await lease.finish(result);
      await past(id, 31 * day);
      await queue.removeEnded({ ageMs: 30 * day, count: null });
    }
  });
});
