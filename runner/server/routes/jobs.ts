import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import * as v from 'valibot';
import { TillerError } from '../../../src/errors/error.ts';
import { jobEndpoints, type JobEndpointName } from '../../../src/jobs/job-endpoints.ts';
import { jobLimits, parseSubmission } from '../../../src/jobs/job-schema.ts';
import { jobEnded, type JobEvent } from '../../../src/jobs/job.ts';
import type { JobQueue } from '../../jobs/job-queue.ts';

export interface JobRoutes {
  readonly queue: JobQueue;
  /** Identity of a model's weights. Throws where the runner does not serve it. */
  readonly weights: (model: string) => string | null;
  /** How often a watched job is looked at, ms. @default 500 */
  readonly pollMs?: number;
}

/** Without news an empty line is sent now and then, so that nobody between takes the connection for dead. */
const quietPolls = 30;

const idParameter = v.object({ id: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) });
const fromQuery = v.object({ from: v.optional(v.pipe(v.string(), v.regex(/^\d{1,9}$/), v.transform(Number)), '0') });

/** The jobs of a runner over HTTP: the rows of `jobEndpoints`. */
export function jobRoutes(app: FastifyInstance, { queue, weights, pollMs = 500 }: JobRoutes): void {
  const route = (name: JobEndpointName, handler: (request: FastifyRequest) => unknown, bodyLimit?: number): void => {
    const { method, path } = jobEndpoints[name];
    app.route({ method, url: path, ...(bodyLimit === undefined ? {} : { bodyLimit }), handler });
  };

  route(
    'submitJob',
    ({ body }) => {
      const submission = parseSubmission(body);
      return queue.submit(submission, weights(submission.job.model));
    },
    jobLimits.bytes,
  );
  route('jobs', async () => ({ jobs: await queue.list() }));
  route('job', (request) => queue.details(idOf(request), fromOf(request)));
  route('cancelJob', (request) => queue.cancel(idOf(request)));
  app.get(jobEndpoints.jobResult.path, async (request, reply) =>
    // It is JSON as it was kept, and may be large: not read only to be written again.
    reply.type('application/json').send(await queue.resultText(idOf(request))),
  );
  app.get(jobEndpoints.jobEvents.path, async (request, reply) => {
    const [id, from] = [idOf(request), fromOf(request)];
    // What is unknown is said before the stream begins.
    await queue.view(id);
    const stop = new AbortController();
    const stream = Readable.from(lines(queue, id, from, pollMs, stop.signal));
    stream.once('close', () => stop.abort());
    return reply.type('application/x-ndjson').header('cache-control', 'no-store').header('x-accel-buffering', 'no').send(stream);
  });
}

function idOf({ params }: FastifyRequest): string {
  const result = v.safeParse(idParameter, params);
  if (!result.success) throw new TillerError('jobs/unknown', { id: String((params as { id?: unknown }).id).slice(0, 80) });
  return result.output.id;
}

function fromOf({ query }: FastifyRequest): number {
  const result = v.safeParse(fromQuery, query);
  if (!result.success) throw new TillerError('jobs/invalid', { path: 'from', problem: 'expected a whole number' });
  return result.output.from;
}

/** Rows as they come and the view when it changed, a line each; ends with the view of the ended job. */
async function* lines(queue: JobQueue, id: string, from: number, pollMs: number, signal: AbortSignal): AsyncGenerator<string, void, void> {
  let next = from;
  let revision = -1;
  let quiet = 0;
  while (!signal.aborted) {
    const { rows, rowsEnd, ...view } = await queue.details(id, next);
    const events: JobEvent[] = rows.map((row, i) => ({ type: 'row', index: next + i, row }));
    next = rowsEnd;
    // The end is told after all rows.
    const ended = jobEnded(view.state);
    if (ended ? rows.length === 0 : view.revision !== revision) events.push({ type: 'view', view });
    revision = view.revision;
    if (events.length > 0) yield events.map((event) => `${JSON.stringify(event)}\n`).join('');
    else if (++quiet % quietPolls === 0) yield '\n';
    if (ended && rows.length === 0) return;
    if (rows.length === 0) await queue.pause(pollMs, signal);
  }
}
