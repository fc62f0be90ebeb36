import { exampleLimits } from './limits.ts';
import { checkRows, excerptOf, type SourceRow, type SourceTable } from './source-row.ts';

/**
 * Comma- and tab-separated tables as RFC 4180 has them: a field in quotation marks may hold delimiters, line ends and doubled
 * quotation marks. Two things go beyond it: every record knows the line it starts on, and a mistake costs one line and not
 * the rest of the file. A quotation mark that is never closed is a mistake in CSV; in TSV it is a character, since many tables there
 * know no quoting at all.
 */

export interface DelimitedRecord {
  readonly line: number;
  readonly cells: readonly string[];
  readonly problem?: string;
}

const QUOTE = '"';

/** End of the quoted field that opens at `start`: the index of its closing mark, or -1 where it is not closed as it should be. */
function closingQuote(text: string, start: number, delimiter: string): number {
  const most = Math.min(text.length, start + 2 * exampleLimits.text);
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf(QUOTE, at);
    if (quote < 0 || quote >= most) return -1;
    const next = text[quote + 1];
    if (next === QUOTE) at = quote + 2;
    else return next === undefined || next === delimiter || next === '\n' || next === '\r' ? quote : -1;
  }
}

/** Index of the end of the line that `at` is on: that of `\n`, `\r` or the end of the text. */
function lineEnd(text: string, at: number): number {
  let end = at;
  while (end < text.length && text[end] !== '\n' && text[end] !== '\r') end++;
  return end;
}

const afterLineEnd = (text: string, at: number): number => at + (text[at] === '\r' && text[at + 1] === '\n' ? 2 : 1);

const lineEnds = (text: string): number => text.match(/\r\n|\r|\n/g)?.length ?? 0;

/** All records of a table, empty lines left out. @throws examples/too-large */
export function delimitedRecords(name: string, text: string, delimiter: ',' | '\t'): DelimitedRecord[] {
  const records: DelimitedRecord[] = [];
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const start = at;
    const cells: string[] = [];
    let problem: string | undefined;
    for (;;) {
      if (text[at] === QUOTE) {
        const close = closingQuote(text, at, delimiter);
        if (close >= 0) {
          cells.push(text.slice(at + 1, close).replaceAll('""', QUOTE));
          at = close + 1;
        } else if (delimiter === ',') {
          problem = 'a quotation mark opens a field and does not close it';
          at = lineEnd(text, start);
          break;
        } else at = plainCell(at);
      } else at = plainCell(at);
      if (text[at] !== delimiter) break;
      at++;
      if (cells.length > exampleLimits.columns) {
        problem = `the row has more than ${exampleLimits.columns} columns`;
        at = lineEnd(text, at);
        break;
      }
    }
    const empty = cells.length === 1 && cells[0] === '' && problem === undefined;
    if (!empty) records.push(problem === undefined ? { line, cells } : { line, cells: [text.slice(start, at)], problem });
    checkRows(name, records.length);
    line += lineEnds(text.slice(start, at)) + 1;
    at = afterLineEnd(text, at);

    function plainCell(from: number): number {
      let end = from;
      while (end < text.length && text[end] !== delimiter && text[end] !== '\n' && text[end] !== '\r') end++;
      cells.push(text.slice(from, end));
      return end;
    }
  }
  return records;
}

/** Records as rows of named columns; the names are the first record, or `column 1`, `column 2`, ... */
export function tableOf(records: readonly DelimitedRecord[], header: boolean): SourceTable {
  const width = Math.max(0, ...(header ? records.slice(0, 1) : records.slice(0, 100)).map(({ cells }) => cells.length));
  const columns = Array.from({ length: width }, (_, i) => (header ? records[0].cells[i].trim() : '') || `column ${i + 1}`);
  const rows = records.slice(header ? 1 : 0).map((record): SourceRow => {
    const excerpt = excerptOf(record.cells.join(' | '));
    const { line, cells } = record;
    if (record.problem !== undefined) return { line, excerpt, problem: record.problem };
    if (cells.length > width && cells.slice(width).some((cell) => cell.trim() !== '')) {
      return { line, excerpt, problem: `the row has ${cells.length} columns, the table ${width}` };
    }
    return { line, excerpt, fields: Object.fromEntries(columns.map((column, i) => [column, cells[i]])) };
  });
  return { columns, rows };
}
