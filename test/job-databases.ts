import { afterAll, beforeAll } from 'vitest';
import type { Database } from '../runner/jobs/database.ts';
import { openEmbeddedDatabase } from '../runner/jobs/embedded-database.ts';
import { openPostgres } from '../runner/jobs/postgres-database.ts';
import { Scratch } from './cli.ts';
import { postgresPrograms, startPostgres, type PostgresServer } from './postgres-server.ts';

/**
 * What the job queue's tests run on: name, whether it is skipped, and how a fresh database is opened. Starts and stops a PostgreSQL of its
 * own around the tests of the file that asks.
 */
export function jobDatabases(): [string, boolean, () => Promise<Database>][] {
  const scratch = new Scratch();
  let server: PostgresServer | null = null;
  beforeAll(async () => {
    if (postgresPrograms !== null) server = await startPostgres(postgresPrograms);
  });
  afterAll(async () => {
    await server?.stop();
    scratch.remove();
  });
  const here = postgresPrograms === null ? ' (skipped: PostgreSQL is not installed)' : '';
  return [
    [`PostgreSQL${here}`, postgresPrograms === null, async () => openPostgres((await server?.database()) ?? '', 10_000)],
    ['the embedded database', false, () => openEmbeddedDatabase(scratch.path('embedded'))],
  ];
}
