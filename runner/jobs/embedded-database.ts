import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { TillerError } from '../../src/errors/error.ts';
import { databaseError, type Database, type Row, type Sql } from './database.ts';
import { lockFolder } from './folder-lock.ts';

interface Answer {
  readonly id: number;
  readonly rows?: readonly Row[];
  readonly problem?: string;
}

/**
 * PostgreSQL compiled to WebAssembly (PGlite) in a folder, which is made where it is not there. It comes back after the process was
 * killed, as PostgreSQL does, from its log. One process at a time.
 * @throws jobs/folder-in-use, jobs/database
 */
export async function openEmbeddedDatabase(folder: string): Promise<Database> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    throw databaseError(cause);
  }
  const unlock = await lockFolder(folder);
  const connection = connect(join(folder, 'postgres'));
  try {
    await connection.opened;
  } catch (cause) {
    await connection.end();
    await unlock();
    throw cause;
  }
  const sql: Sql = { query: (text, values = []) => connection.send(text, values) };
  // There is one connection: whoever wants a transaction waits until the others' are over, and so do single statements.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };
  const transaction = <T>(work: (sql: Sql) => Promise<T>): Promise<T> =>
    inTurn(async () => {
      await sql.query('BEGIN');
      try {
        const value = await work(sql);
        await sql.query('COMMIT');
        return value;
      } catch (error) {
        await sql.query('ROLLBACK').catch(() => undefined);
        throw error;
      }
    });
  return {
    sole: true,
    query: (text, values) => inTurn(() => sql.query(text, values)),
    transaction,
    alone: (work) => inTurn(() => work(sql)),
    close: () =>
      inTurn(async () => {
        await connection.send(null, []).catch(() => undefined);
        await connection.end();
        await unlock();
      }),
  };
}

function connect(folder: string): {
  readonly opened: Promise<unknown>;
  send(text: string | null, values: readonly unknown[]): Promise<readonly Row[]>;
  end(): Promise<void>;
} {
  const worker = new Worker(new URL('./embedded-thread.js', import.meta.url), { workerData: { folder }, name: 'tiller jobs' });
  const waiting = new Map<number, { resolve: (rows: readonly Row[]) => void; reject: (error: TillerError) => void }>();
  let next = 1;
  let ended: TillerError | null = null;
  const fail = (problem: string): void => {
    ended ??= new TillerError('jobs/database', { problem });
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  const opened = new Promise<readonly Row[]>((resolve, reject) => waiting.set(0, { resolve, reject }));
  worker.on('message', ({ id, rows, problem }: Answer) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (rows) call?.resolve(rows);
    else call?.reject(new TillerError('jobs/database', { problem: problem ?? 'it gave no answer' }));
  });
  worker.on('error', (error) => fail(error.message));
  worker.on('exit', () => fail('its thread has ended'));
  return {
    opened,
    send: (text, values) =>
      new Promise((resolve, reject) => {
        if (ended) {
          reject(ended);
          return;
        }
        const id = next++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, text, values });
      }),
    end: async () => {
      await worker.terminate();
    },
  };
}
