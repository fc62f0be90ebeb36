import type { ErrorData } from '../../src/errors/error.ts';
import type { JobKind, JobProgress, JobState, JobView } from '../../src/jobs/job.ts';
import type { Row } from './database.ts';

const time = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::float8 AS ${column}`;

/** Columns of a job that views are made of; `j` is the job. */
export const viewColumns = `j.id, j.kind, j.model, j.state, j.attempt, j.cancelling, j.runner, j.progress, j.error, j.revision,
  CASE WHEN j.state = 'queued' THEN (
    SELECT count(*)::int + 1 FROM tiller.jobs o WHERE o.queue = j.queue AND o.state = 'queued' AND (o.queued, o.id) < (j.queued, j.id)
  ) END AS position, ${['received', 'started', 'changed', 'ended'].map((column) => time(column)).join(', ')}`;

const iso = (milliseconds: unknown): string | null => (typeof milliseconds === 'number' ? new Date(milliseconds).toISOString() : null);
const parsed = <T>(text: unknown): T | null => (typeof text === 'string' ? (JSON.parse(text) as T) : null);

/** @param missing hashes of vectors that the job lacks */
export function viewOf(row: Row, missing: readonly string[]): JobView {
  return {
    id: row.id as string,
    kind: row.kind as JobKind,
    model: row.model as string,
    state: row.state as JobState,
    position: row.position as number | null,
    missing,
    progress: parsed<JobProgress>(row.progress),
    error: parsed<ErrorData>(row.error),
    cancelling: row.cancelling as boolean,
    runner: row.runner as string | null,
    attempt: row.attempt as number,
    revision: row.revision as number,
    times: { received: iso(row.received) ?? '', started: iso(row.started), changed: iso(row.changed) ?? '', ended: iso(row.ended) },
  };
}
