import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TillerError } from '../../../src/errors/error.ts';
import { buildGraph } from '../../../src/graph/vectors.ts';
import { jobGraph } from '../../../src/jobs/job-graph.ts';
import type { DamageResult } from '../../../src/jobs/job-result.ts';
import { createJobsClient, type JobsClient } from '../../../src/jobs/jobs-client.ts';
import type { EvaluateJob, JobEvent } from '../../../src/jobs/job.ts';
import { Scratch } from '../../../test/cli.ts';
import { postgresPrograms, startPostgres, type PostgresServer } from '../../../test/postgres-server.ts';
import { openEmbeddedDatabase } from '../../jobs/embedded-database.ts';
import { JobQueue } from '../../jobs/job-queue.ts';
import { JobRunner, type JobExecutor } from '../../jobs/job-runner.ts';
import { openPostgres } from '../../jobs/postgres-database.ts';
import { asTillerError } from '../../output.ts';
import { statusOf } from '../status-codes.ts';
import { jobRoutes } from './jobs.ts';

const scratch = new Scratch();
let server: PostgresServer | null = null;
let queue: JobQueue;
let app: FastifyInstance;
let address: string;
let runner: JobRunner | null = null;

beforeAll(async () => {
  server = postgresPrograms === null ? null : await startPostgres(postgresPrograms);
  queue = await JobQueue.open(
    server ? await openPostgres(await server.database(), 10_000) : await openEmbeddedDatabase(scratch.path('jobs')),
  );
  app = fastify();
  app.setErrorHandler((thrown, _request, reply) => {
    const error = asTillerError(thrown);
    return reply.code(statusOf(error.code)).send({ error: error.toJSON() });
  });
  const weights = (model: string): string => {
    if (model !== 'm') throw new TillerError('runner/model', { model, known: 'm' });
    return 'w';
  };
  jobRoutes(app, { queue, weights, pollMs: 20 });
  address = await app.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  await runner?.stop();
  runner = null;
});
afterAll(async () => {
  await app.close();
  await queue.close();
  await server?.stop();
  scratch.remove();
});

const run = (execute: JobExecutor): void => {
  runner = new JobRunner({
    ...{ queue, execute, name: 'here', pollMs: 20, reportMs: 10, now: () => performance.now() },
    models: () => [{ name: 'm', weights: 'w' }],
  });
};
const client = (fetcher: typeof fetch = fetch): JobsClient =>
  createJobsClient({ address: `${address}/`, token: 'secret', fetch: fetcher, pause: () => Promise.resolve() });
const job = (seed: number): EvaluateJob => ({
  ...{ tiller: 1, kind: 'evaluate', model: 'm', graph: null, factors: [], seed },
  evaluation: { type: 'damage', neutral: 'stories', maxLength: 64 },
});
const result: DamageResult = {
  ...{ kind: 'damage', engine: {}, graph: null, seed: 0, conditions: [], notes: [] },
  neutral: { sha256: '', documents: 1, tokens: 2 },
};
const code = (name: string): unknown => expect.objectContaining({ code: name });
const all = async (events: AsyncIterable<JobEvent>): Promise<JobEvent[]> => {
  const list: JobEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
};
const notes = (events: readonly JobEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'row' && event.row.type === 'note' ? [event.row.text] : []));

/** Ends when the signal is set, as engines do. */
const untilStopped = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const stop = (): void => reject(new TillerError('request/aborted'));
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
  });

describe('jobs over HTTP', () => {
  it('are begun, watched to their end, and give their result', async () => {
    const { id } = await client().submit({ job: job(1) });
    run(async (work, _units, report) => {
      expect(work.document).toEqual(job(1));
      for (const text of ['one', 'two']) report({ type: 'note', text });
      return result;
    });
    const events = await all(client().watch(id));
    expect(notes(events)).toEqual(['one', 'two']);
    expect(events.at(-1)).toMatchObject({ type: 'view', view: { id, state: 'done', runner: 'here' } });
    expect(await client().result(id)).toEqual(result);
    expect((await client().list()).map((view) => view.id)).toEqual([id]);
    expect(await client().get(id, 1)).toMatchObject({ state: 'done', rows: [{ type: 'note', text: 'two' }], rowsEnd: 2 });
  });

  it('are watched over broken connections, each row once', async () => {
    const { id } = await client().submit({ job: job(2) });
    run(async (_work, _units, report) => {
      for (let i = 0; i < 40; i++) {
        report({ type: 'note', text: String(i) });
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      return result;
    });
    let connections = 0;
    // Every stream but the last ones breaks after some bytes, in the middle of a line or not.
    const breaking: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (typeof input !== 'string' || !input.includes('/events') || ++connections > 6 || !response.body) return response;
      let left = 100 + 90 * connections;
      const cut = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          controller.enqueue(chunk.subarray(0, left));
          left -= chunk.length;
          if (left <= 0) controller.error(new Error('the connection broke'));
        },
      });
      return new Response(response.body.pipeThrough(cut), response);
    };
    expect(notes(await all(client(breaking).watch(id)))).toEqual(Array.from({ length: 40 }, (_, i) => String(i)));
    expect(connections).toBeGreaterThan(2);
  });

  it('send vectors once', async () => {
    const bound = buildGraph({
      model: { family: 'llama', layers: 1, heads: 1, kvHeads: 1, headDim: 1200, hidden: 1200, intermediate: 8 },
      vectors: { v: { shape: [1200], data: new Float32Array(1200).fill(0.25) } },
      nodes: [{ id: 'n', edit: 'add', at: { point: 'resid_post', layer: 0 }, tokens: 'all', vector: 'v' }],
    });
    const { graph, tensors } = jobGraph(bound);
    const bodies: string[] = [];
    const listening: typeof fetch = (input, init) => {
      if (typeof init?.body === 'string') bodies.push(init.body);
      return fetch(input, init);
    };
    const ids: string[] = [];
    for (const seed of [3, 4]) {
      const view = await client(listening).submit({ job: { ...job(seed), graph, factors: [1] }, tensors });
      expect(view.state).toBe('queued');
      ids.push(view.id);
    }
    expect(bodies.map((body) => body.includes('"tensors"'))).toEqual([false, true, false]);
    for (const id of ids) expect((await client().cancel(id)).state).toBe('cancelled');
    await expect(client().result(ids[0])).rejects.toEqual(code('jobs/cancelled'));
  });

  it('are cancelled while they run', async () => {
    const { id } = await client().submit({ job: job(5) });
    run((_work, _units, _report, signal) => untilStopped(signal));
    let asked = false;
    for await (const event of client().watch(id)) {
      if (event.type !== 'view') continue;
      if (event.view.state === 'running' && !asked) {
        asked = true;
        await client().cancel(id);
      }
      if (event.view.state === 'cancelled') expect(asked).toBe(true);
    }
    expect((await client().get(id)).state).toBe('cancelled');
  });

  it('go back to the queue when their runner is stopped, or its engine is lost', async () => {
    const { id } = await client().submit({ job: job(6) });
    let begun: () => void = () => undefined;
    const running = new Promise<void>((resolve) => (begun = resolve));
    run((_work, _units, _report, signal) => {
      begun();
      return untilStopped(signal);
    });
    await running;
    await runner?.stop();
    expect(await client().get(id)).toMatchObject({ state: 'queued', position: 1 });
    let times = 0;
    run(() => (++times === 1 ? Promise.reject(new TillerError('device/lost', { problem: 'x' })) : Promise.resolve(result)));
    await all(client().watch(id));
    expect(times).toBe(2);
    expect(await client().get(id)).toMatchObject({ state: 'done', attempt: 3 });
  });

  it('that fail say why and what to do', async () => {
    const { id } = await client().submit({ job: job(7) });
    run(() => Promise.reject(new TillerError('eval/setting', { problem: 'the graph has no edit' })));
    await all(client().watch(id));
    await expect(client().result(id)).rejects.toMatchObject({
      code: 'eval/setting',
      message: expect.stringContaining('no edit') as unknown,
    });
  });

  it('are refused with an error of the catalogue', async () => {
    const waiting = await client().submit({ job: job(8) });
    await expect(client().result(waiting.id)).rejects.toEqual(code('jobs/unfinished'));
    await client().cancel(waiting.id);
    await expect(client().get('0'.repeat(64))).rejects.toEqual(code('jobs/unknown'));
    await expect(client().get('x')).rejects.toEqual(code('jobs/unknown'));
    await expect(all(client().watch('0'.repeat(64)))).rejects.toEqual(code('jobs/unknown'));
    await expect(client().submit({ job: { ...job(9), model: 'n' } })).rejects.toEqual(code('runner/model'));
    await expect(client().submit({ job: { ...job(9), seed: 0.5 } })).rejects.toEqual(code('jobs/invalid'));
    const nobody = createJobsClient({ address: 'http://127.0.0.1:1', token: null, fetch, pause: () => Promise.resolve() });
    await expect(all(nobody.watch('0'.repeat(64)))).rejects.toEqual(code('network/failed'));
  });
});
