import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TillerError } from '../../src/errors/error.ts';
import { buildGraph } from '../../src/graph/vectors.ts';
import { jobGraph } from '../../src/jobs/job-graph.ts';
import type { DamageResult } from '../../src/jobs/job-result.ts';
import type { EvaluateJob } from '../../src/jobs/job.ts';
import { Scratch } from '../../test/cli.ts';
import { jobDatabases } from '../../test/job-databases.ts';
import type { Database } from './database.ts';
import { openEmbeddedDatabase } from './embedded-database.ts';
import type { JobLease } from './job-lease.ts';
import { JobQueue } from './job-queue.ts';

const databases = jobDatabases();
const scratch = new Scratch();
afterAll(() => scratch.remove());

const job = (seed: number, model = 'm'): EvaluateJob => ({
  tiller: 1,
  kind: 'evaluate',
  model,
  evaluation: { type: 'damage', neutral: 'stories', maxLength: 64 },
  graph: null,
  factors: [],
  seed,
});
const result: DamageResult = {
  kind: 'damage',
  engine: {},
  graph: null,
  neutral: { sha256: '', documents: 1, tokens: 2 },
  seed: 0,
  conditions: [],
  notes: ['\u0000 is kept'],
};
const m = { name: 'm', weights: 'w' };
const code = (name: string): unknown => expect.objectContaining({ code: name });

describe.each(databases)('jobs in %s', (_, skipped, openDatabase) => {
  // PostgreSQL is not part of the project: `npm test` counts a machine without it as a failure, a single file run by hand does not.
  if (skipped) return it.skip('is not installed', () => undefined);
  let database: Database;
  let queue: JobQueue;
  beforeAll(async () => {
    database = await openDatabase();
    queue = await JobQueue.open(database, { mostLosses: 3 });
  });
  afterAll(() => queue.close());
  const taken = async (model = m): Promise<JobLease> => {
    const lease = await queue.take([model], 'here');
    if (!lease) throw new Error('nothing was there to take');
    return lease;
  };
  /** As if the lease had run out, whatever the clock says. */
  const runOut = async ({ id }: { readonly id: string }): Promise<void> => {
    await database.query(`UPDATE tiller.jobs SET lease = now() - interval '1 second' WHERE id = $1`, [id]);
    await queue.expire();
  };

  it('are queued in their order, taken once, and done', async () => {
    const [a, b] = [await queue.submit({ job: job(1) }, 'w'), await queue.submit({ job: job(2) }, 'w')];
    expect([a.state, a.position, b.state, b.position]).toEqual(['queued', 1, 'queued', 2]);
    const first = await taken();
    expect(first.id).toBe(a.id);
    expect(first.work.document).toEqual(job(1));
    expect((await queue.view(b.id)).position).toBe(1);
    const second = await taken();
    expect(second.id).toBe(b.id);
    expect(await queue.take([m], 'other')).toBeNull();
    await first.finish(result);
    expect(await queue.result(a.id)).toEqual(result);
    expect(await queue.view(a.id)).toMatchObject({ state: 'done', attempt: 1, runner: 'here', position: null });
    await expect(queue.result(b.id)).rejects.toEqual(code('jobs/unfinished'));
    await second.finish(result);
  });

  it('submitted again are the same, done or not', async () => {
    const again = await queue.submit({ job: job(1) }, 'w');
    expect(again.state).toBe('done');
    const fresh = await queue.submit({ job: job(3) }, 'w');
    const same = await Promise.all([1, 2, 3].map(() => queue.submit({ job: job(3), again: true }, 'w')));
    expect(same.map(({ id, state }) => [id, state])).toEqual([1, 2, 3].map(() => [fresh.id, 'queued']));
    await (await taken()).finish(result);
    expect(await queue.take([m], 'here')).toBeNull();
  });

  it('go to runners of their model and its weights only', async () => {
    await queue.submit({ job: job(1, 'n') }, 'v');
    for (const model of [m, { name: 'n', weights: 'w' }, { name: 'n', weights: null }]) expect(await queue.take([model], 'x')).toBeNull();
    await (await taken({ name: 'n', weights: 'v' })).finish(result);
  });

  it('tell progress and rows, each row once', async () => {
    const { id } = await queue.submit({ job: job(4) }, 'w');
    const lease = await taken();
    lease.report({ type: 'progress', stage: 'scoring', done: 1, total: 9, unit: 'documents', reused: 0 });
    for (const text of ['one', 'two', 'one']) lease.report({ type: 'note', text });
    await lease.beat(0);
    const details = await queue.details(id);
    expect(details.progress).toEqual({ stage: 'scoring', done: 1, total: 9, unit: 'documents', reused: 0 });
    expect(details.rows).toEqual(['one', 'two'].map((text) => ({ type: 'note', text })));
    await runOut(lease);
    const next = await taken();
    for (const text of ['one', 'three']) next.report({ type: 'note', text });
    await next.finish(result);
    expect((await queue.details(id, 1)).rows.map((row) => row.type === 'note' && row.text)).toEqual(['two', 'three']);
  });

  it('whose runner is silent go to another, and what the old one writes is refused', async () => {
    const { id } = await queue.submit({ job: job(5) }, 'w');
    const old = await taken();
    await old.units.set('5a', [1]);
    await runOut(old);
    expect((await queue.view(id)).state).toBe('queued');
    const owner = await taken();
    expect([owner.id, owner.attempt]).toEqual([id, 2]);
    for (const write of [
      () => old.beat(1e9),
      () => old.units.set('5b', [2]),
      () => old.finish({ ...result, seed: 666 }),
      () => old.fail(new TillerError('internal', { problem: 'late' })),
      () => old.cancelled(),
      () => old.release(true),
    ])
      await write().then(
        () => expect.unreachable(),
        (error: unknown) => expect(error).toEqual(code('jobs/lost-lease')),
      );
    expect(old.signal.aborted).toBe(true);
    expect(await owner.units.get('5a')).toEqual([1]);
    expect(await owner.units.get('5b')).toBeUndefined();
    await owner.finish(result);
    expect(await queue.result(id)).toEqual(result);
  });

  it('keep a unit once, the first', async () => {
    await queue.submit({ job: job(6) }, 'w');
    const lease = await taken();
    await lease.units.set('6', { x: 1 });
    await lease.units.set('6', { x: 2 });
    expect(await lease.units.get('6')).toEqual({ x: 1 });
    await lease.finish(result);
  });

  it('that lose every runner are given up, and may be begun again', async () => {
    const { id } = await queue.submit({ job: job(7) }, 'w');
    for (let i = 0; i < 3; i++) await runOut(await taken());
    expect(await queue.view(id)).toMatchObject({ state: 'failed', error: { code: 'jobs/runners-lost' } });
    await expect(queue.result(id)).rejects.toEqual(code('jobs/runners-lost'));
    expect((await queue.submit({ job: job(7) }, 'w')).state).toBe('failed');
    expect((await queue.submit({ job: job(7), again: true }, 'w')).state).toBe('queued');
    const lease = await taken();
    await lease.fail(new TillerError('eval/setting', { problem: 'x' }));
    expect((await queue.view(id)).error).toMatchObject({ code: 'eval/setting', fix: expect.any(String) as unknown });
  });

  it('that wait are cancelled at once, those that run after their unit', async () => {
    const waiting = await queue.submit({ job: job(8) }, 'w');
    expect((await queue.cancel(waiting.id)).state).toBe('cancelled');
    expect(await queue.take([m], 'here')).toBeNull();
    const { id } = await queue.submit({ job: job(9) }, 'w');
    const lease = await taken();
    expect(await queue.cancel(id)).toMatchObject({ state: 'running', cancelling: true });
    await expect(lease.units.set('9', 1)).rejects.toEqual(code('request/aborted'));
    expect([lease.signal.aborted, lease.cancelling, lease.over]).toEqual([true, true, false]);
    await lease.cancelled();
    expect((await queue.cancel(id)).state).toBe('cancelled');
    await expect(queue.result(id)).rejects.toEqual(code('jobs/cancelled'));
    // The unit it was at is kept, and it goes on from there.
    await queue.submit({ job: job(9), again: true }, 'w');
    const next = await taken();
    expect(await next.units.get('9')).toBe(1);
    await next.finish(result);
  });

  it('that are being cancelled when their runner is lost are cancelled', async () => {
    const { id } = await queue.submit({ job: job(10) }, 'w');
    const lease = await taken();
    await queue.cancel(id);
    await runOut(lease);
    expect((await queue.view(id)).state).toBe('cancelled');
  });

  it('given back keep their place', async () => {
    const ids: string[] = [];
    for (const seed of [11, 12]) ids.push((await queue.submit({ job: job(seed) }, 'w')).id);
    const lease = await taken();
    await lease.release(false);
    const order = [await taken(), await taken()];
    expect(order.map(({ id }) => id)).toEqual(ids);
    for (const each of order) await each.finish(result);
  });

  it('wait for the vectors of their graph', async () => {
    const bound = buildGraph({
      model: { family: 'llama', layers: 1, heads: 1, kvHeads: 1, headDim: 1200, hidden: 1200, intermediate: 8 },
      vectors: { v: { shape: [1200], data: new Float32Array(1200).fill(0.5) } },
      nodes: [{ id: 'n', edit: 'add', at: { point: 'resid_post', layer: 0 }, tokens: 'all', vector: 'v' }],
    });
    const { graph, tensors } = jobGraph(bound);
    const steered = { ...job(13), graph, factors: [1] };
    const received = await queue.submit({ job: steered }, 'w');
    expect(received).toMatchObject({ state: 'received', missing: Object.keys(tensors) });
    expect((await queue.view(received.id)).missing).toEqual(Object.keys(tensors));
    expect(await queue.take([m], 'here')).toBeNull();
    const queued = await queue.submit({ job: steered, tensors }, 'w');
    expect(queued).toMatchObject({ id: received.id, state: 'queued', missing: [] });
    const lease = await taken();
    expect([...lease.work.tensors.keys()]).toEqual(Object.keys(tensors));
    await lease.finish(result);
    // Another job with the same vectors needs none sent.
    const other = await queue.submit({ job: { ...steered, seed: 14 } }, 'w');
    expect((await queue.cancel(other.id)).state).toBe('cancelled');
    expect(other.state).toBe('queued');
  });

  it('are listed and counted; unknown ones are said so', async () => {
    const list = await queue.list();
    const counts = await queue.counts();
    expect(list).toHaveLength(Object.values(counts).reduce((sum, count) => sum + count, 0));
    expect([counts.received, counts.queued, counts.running]).toEqual([0, 0, 0]);
    expect(await database.query('SELECT 1 FROM tiller_queue.job')).toEqual([]);
    await expect(queue.view('0')).rejects.toEqual(code('jobs/unknown'));
    await expect(queue.cancel('0')).rejects.toEqual(code('jobs/unknown'));
  });
});

describe('the embedded database', () => {
  it('takes one process at a time, and comes back with what was in it', async () => {
    const folder = scratch.path('embedded');
    const first = await JobQueue.open(await openEmbeddedDatabase(folder));
    const { id } = await first.submit({ job: job(1) }, 'another');
    await expect(openEmbeddedDatabase(folder)).rejects.toEqual(code('jobs/folder-in-use'));
    await first.close();
    const second = await JobQueue.open(await openEmbeddedDatabase(folder));
    expect((await second.view(id)).state).toBe('queued');
    await second.close();
  });
});
