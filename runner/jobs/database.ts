import { TillerError } from '../../src/errors/error.ts';

/** A row as the driver gives it; queries name and cast their columns so that both drivers give the same. */
export type Row = Readonly<Record<string, unknown>>;

/** PostgreSQL, embedded or elsewhere, in one of its connections or transactions. */
export interface Sql {
  /** Several statements in one text are allowed without values; the last one's rows come back. @throws jobs/database */
  query(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
}

export interface Database extends Sql {
  /** Whether no other process can use it while this one does. */
  readonly sole: boolean;
  /** All of it or nothing. Inside, only the given connection may be used. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** Does work while no other process that uses the same database does work of this kind. */
  alone<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export const databaseError = (cause: unknown): TillerError =>
  cause instanceof TillerError
    ? cause
    : new TillerError('jobs/database', { problem: cause instanceof Error ? cause.message : String(cause) }, { cause });
