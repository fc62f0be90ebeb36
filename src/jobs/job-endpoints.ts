import * as v from 'valibot';
import { submissionSchema } from './job-schema.ts';
import { jobStates } from './job.ts';

const text = v.string();
const number = v.number();
const progress = v.object({ stage: text, done: number, total: number, unit: text, reused: number });
const error = v.object({ code: text, message: text, why: text, fix: text, details: v.record(text, v.union([text, number, v.boolean()])) });
const viewEntries = {
  id: text,
  kind: v.picklist(['fit', 'sweep', 'evaluate']),
  model: text,
  state: v.picklist(jobStates),
  position: v.nullable(number),
  missing: v.array(text),
  progress: v.nullable(progress),
  error: v.nullable(error),
  cancelling: v.boolean(),
  runner: v.nullable(text),
  attempt: number,
  revision: number,
  times: v.object({ received: text, started: v.nullable(text), changed: text, ended: v.nullable(text) }),
};
const view = v.object(viewEntries);
const row = v.looseObject({ type: v.picklist(['fitted', 'point', 'part', 'note']) });
const event = v.variant('type', [v.object({ type: v.literal('view'), view }), v.object({ type: v.literal('row'), index: number, row })]);

const none = { kind: 'none' } as const;

/**
 * What a runner answers about jobs; one row an endpoint, in the form of src/engine/remote/endpoints.ts, which OpenAPI and
 * docs/runner.md are made from.
 */
export const jobEndpoints = {
  submitJob: {
    method: 'POST',
    path: '/v1/jobs',
    body: { kind: 'json', schema: submissionSchema },
    answer: { kind: 'json', schema: view },
    doc: 'keeps a fit, sweep or evaluation and queues it; the same again is the same job, and `missing` names vectors still to be sent',
  },
  jobs: {
    method: 'GET',
    path: '/v1/jobs',
    body: none,
    answer: { kind: 'json', schema: v.object({ jobs: v.array(view) }) },
    doc: 'all jobs, the newest first',
  },
  job: {
    method: 'GET',
    path: '/v1/jobs/:id',
    body: none,
    answer: { kind: 'json', schema: v.object({ ...viewEntries, rows: v.array(row), rowsEnd: number }) },
    doc: 'how a job stands, with what it told so far; `?from=N` leaves out the first N rows',
  },
  jobEvents: {
    method: 'GET',
    path: '/v1/jobs/:id/events',
    body: none,
    answer: { kind: 'events', schema: event },
    doc: 'the same as a stream, a JSON document a line, until the job has ended; `?from=N` goes on where another ended',
  },
  cancelJob: {
    method: 'POST',
    path: '/v1/jobs/:id/cancel',
    body: none,
    answer: { kind: 'json', schema: view },
    doc: 'ends a job: at once where it waits, after the unit it is at where it runs',
  },
  jobResult: {
    method: 'GET',
    path: '/v1/jobs/:id/result',
    body: none,
    answer: { kind: 'json', schema: v.looseObject({ kind: text }) },
    doc: 'what a job that is done came to; the error of one that failed',
  },
} as const;

export type JobEndpointName = keyof typeof jobEndpoints;
