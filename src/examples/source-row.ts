import { TillerError } from '../errors/error.ts';
import { exampleLimits } from './limits.ts';

/** A row as it lies in the source, before anything is made of it. */
export interface SourceRow {
  /** Counted from 1, a header included. */
  readonly line: number;
  /** The beginning of the row, at most 80 characters. */
  readonly excerpt: string;
  /** Values by column name; absent where the row could not be taken apart. */
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly problem?: string;
}

/** What a reader of a format gives. `columns` in the order of the source. */
export interface SourceTable {
  readonly columns: readonly string[];
  readonly rows: readonly SourceRow[];
}

/** The beginning of a text for a message, on one line. */
export function excerptOf(text: string): string {
  const line = text.slice(0, 200).replace(/\s+/g, ' ').trim();
  const characters = Array.from(line);
  return characters.length > 80 ? `${characters.slice(0, 79).join('')}…` : line;
}

/** @throws examples/too-large once a source has more rows than are taken */
export function checkRows(name: string, rows: number): void {
  if (rows > exampleLimits.rows) {
    throw new TillerError('examples/too-large', { name, what: 'the number of rows', got: rows, limit: exampleLimits.rows });
  }
}
