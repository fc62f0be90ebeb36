import { TillerError } from '../../src/errors/error.ts';
import type { Sql } from './database.ts';

/** Grows when a table changes; databases of older programs are then brought forward here. */
const TABLES = 1;

/** Schema of pg-boss's tables, in which the queue lies. */
export const QUEUE_SCHEMA = 'tiller_queue';

/**
 * What is kept of jobs. Texts are JSON, as it was sent: `jsonb` would refuse some strings and write numbers anew.
 *
 * - jobs: one row a job. `attempt` is the fencing token: it grows whenever somebody else may take the job, and nothing is written for a
 *   job without it. `boss` is the entry of pg-boss's queue while there is one.
 * - rows: what jobs told, each once.
 * - units: finished units of work by the hash of everything they depend on, each once, shared by all runners.
 * - tensors: vectors of graphs by the hash of their values.
 */
const statements = `
CREATE SCHEMA IF NOT EXISTS tiller;
CREATE TABLE IF NOT EXISTS tiller.version (version int NOT NULL);
CREATE TABLE IF NOT EXISTS tiller.jobs (
  id text PRIMARY KEY,
  kind text NOT NULL,
  model text NOT NULL,
  weights text,
  queue text NOT NULL,
  document text NOT NULL,
  state text NOT NULL,
  boss uuid,
  attempt int NOT NULL DEFAULT 0,
  losses int NOT NULL DEFAULT 0,
  cancelling boolean NOT NULL DEFAULT false,
  runner text,
  lease timestamptz,
  progress text,
  error text,
  result text,
  revision int NOT NULL DEFAULT 0,
  received timestamptz NOT NULL DEFAULT now(),
  queued timestamptz,
  started timestamptz,
  changed timestamptz NOT NULL DEFAULT now(),
  ended timestamptz
);
CREATE INDEX IF NOT EXISTS jobs_waiting ON tiller.jobs (queue, queued, id) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS jobs_leases ON tiller.jobs (lease) WHERE state = 'running';
CREATE TABLE IF NOT EXISTS tiller.rows (
  job text NOT NULL REFERENCES tiller.jobs ON DELETE CASCADE,
  key text NOT NULL,
  place int NOT NULL,
  content text NOT NULL,
  PRIMARY KEY (job, key),
  UNIQUE (job, place)
);
CREATE TABLE IF NOT EXISTS tiller.units (
  key text PRIMARY KEY,
  content text NOT NULL,
  job text NOT NULL,
  attempt int NOT NULL,
  made timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS tiller.tensors (
  hash text PRIMARY KEY,
  bytes bytea NOT NULL
);
`;

/** Makes the tables where they are not there. @throws jobs/database where they are of a newer program */
export async function prepareTables(sql: Sql): Promise<void> {
  await sql.query(statements);
  const [row] = await sql.query('SELECT max(version)::int AS version FROM tiller.version');
  const version = row.version as number | null;
  if (version === null) await sql.query('INSERT INTO tiller.version VALUES ($1)', [TABLES]);
  else if (version > TABLES)
    throw new TillerError('jobs/database', { problem: `its tables are of a newer Tiller (${version}; this one knows ${TABLES})` });
}
