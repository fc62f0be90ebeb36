import pg from 'pg';
import { databaseError, type Database, type Row, type Sql } from './database.ts';

/** Connections of one runner. */
const connections = 6;
/** Of the advisory lock under which tables are made: any number that no other program of the database uses. */
const lockNumber = 0x71_11_e2;

/**
 * PostgreSQL by a connection string. Transactions of a process that is stopped in their middle are ended by the server, so that nobody
 * waits for their locks.
 * @param idleMs after which the server ends a transaction in which nothing happens
 * @throws jobs/database
 */
export async function openPostgres(url: string, idleMs: number): Promise<Database> {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    application_name: 'tiller',
    idle_in_transaction_session_timeout: idleMs,
    connectionTimeoutMillis: 30_000,
  });
  // Connections that break while nobody uses them are replaced by the pool.
  pool.on('error', () => undefined);
  const over = (client: Pick<pg.PoolClient, 'query'>): Sql => ({
    async query(text, values) {
      try {
        const result = (await client.query(text, values ? [...values] : undefined)) as pg.QueryResult<Row> | pg.QueryResult<Row>[];
        return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
      } catch (cause) {
        throw databaseError(cause);
      }
    },
  });
  const connected = async <T>(work: (sql: Sql) => Promise<T>): Promise<T> => {
    let client: pg.PoolClient;
    try {
      client = await pool.connect();
    } catch (cause) {
      throw databaseError(cause);
    }
    let broken: Error | undefined;
    const onError = (error: Error): void => void (broken = error);
    client.on('error', onError);
    try {
      return await work(over(client));
    } catch (error) {
      // Whatever state it is in, it is not used again.
      broken ??= error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
  };
  const database: Database = {
    sole: false,
    query: (text, values) => over(pool).query(text, values),
    transaction: (work) =>
      connected(async (sql) => {
        await sql.query('BEGIN');
        const value = await work(sql);
        await sql.query('COMMIT');
        return value;
      }),
    alone: (work) =>
      connected(async (sql) => {
        // Whoever holds it may be a process that is stopped.
        await sql.query("SET lock_timeout = '60s'");
        await sql.query('SELECT pg_advisory_lock($1)', [lockNumber]);
        const value = await work(sql);
        await sql.query('SELECT pg_advisory_unlock($1)', [lockNumber]);
        return value;
      }),
    close: () => pool.end(),
  };
  try {
    await database.query('SELECT 1');
  } catch (cause) {
    await pool.end();
    throw databaseError(cause);
  }
  return database;
}
