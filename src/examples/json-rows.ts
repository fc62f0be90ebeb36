import { TillerError } from '../errors/error.ts';
import { isRecord, jsonTrouble } from '../formats/json.ts';
import { exampleLimits } from './limits.ts';
import { checkRows, excerptOf, type SourceRow, type SourceTable } from './source-row.ts';

/** Rows from JSON: a list, columns of equal length, or one value a line. */

type JsonValue = { readonly value: unknown } | { readonly problem: string };

function parse(text: string): JsonValue {
  const trouble = jsonTrouble(text, exampleLimits.depth);
  if (trouble !== null) return { problem: trouble };
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (cause) {
    return { problem: `it is not JSON (${cause instanceof Error ? cause.message : String(cause)})` };
  }
}

/** A JSON value as fields: objects as they are, `[label, text]` lists by place, a text as `text`. */
function rowOf(line: number, excerpt: string, value: unknown): SourceRow {
  if (isRecord(value)) return { line, excerpt, fields: value };
  if (typeof value === 'string') return { line, excerpt, fields: { text: value } };
  if (Array.isArray(value) && value.length <= exampleLimits.columns) {
    return { line, excerpt, fields: Object.fromEntries(value.map((cell: unknown, i) => [`column ${i + 1}`, cell])) };
  }
  return { line, excerpt, problem: 'the row is neither an object nor a list nor a text' };
}

/** Names of columns over the first rows, in order of appearance. */
export function columnsOf(rows: readonly SourceRow[]): string[] {
  const names = new Set<string>();
  for (const row of rows.slice(0, 1000)) {
    for (const name of Object.keys(row.fields ?? {})) if (names.size < exampleLimits.columns) names.add(name);
  }
  return [...names];
}

/** One JSON value a line; empty lines are left out. @throws examples/too-large */
export function jsonLines(name: string, text: string): SourceTable {
  const rows: SourceRow[] = [];
  let line = 0;
  for (const raw of text.split(/\r\n|\r|\n/)) {
    line++;
    if (raw.trim() === '') continue;
    const parsed = parse(raw);
    rows.push('problem' in parsed ? { line, excerpt: excerptOf(raw), problem: parsed.problem } : rowOf(line, excerptOf(raw), parsed.value));
    checkRows(name, rows.length);
  }
  return { columns: columnsOf(rows), rows };
}

/**
 * A JSON document: a list of rows, an object with such a list as `rows`, `data` or `examples`, or an object of columns.
 * @throws examples/file, examples/too-large
 */
export function jsonDocument(name: string, text: string): SourceTable {
  const parsed = parse(text);
  if ('problem' in parsed) throw new TillerError('examples/file', { name, problem: parsed.problem });
  const { value } = parsed;
  if (Array.isArray(value)) return listTable(name, value, elementLines(text, 0));
  if (isRecord(value)) {
    for (const key of ['rows', 'data', 'examples']) {
      const list = Object.hasOwn(value, key) ? value[key] : undefined;
      if (Array.isArray(list)) return listTable(name, list, []);
    }
    const entries = Object.entries(value);
    const columns = entries.filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]));
    if (columns.length > 0 && columns.length === entries.length) return columnTable(name, columns);
  }
  throw new TillerError('examples/file', { name, problem: 'it is neither a list of rows nor an object with one' });
}

function listTable(name: string, list: readonly unknown[], lines: readonly number[]): SourceTable {
  checkRows(name, list.length);
  const rows = list.map((value, i) => rowOf(lines[i] ?? i + 1, excerptOf(JSON.stringify(value)), value));
  return { columns: columnsOf(rows), rows };
}

/** `{"text": [...], "label": [...]}`; lists of unequal length leave rows without some values. */
function columnTable(name: string, columns: readonly (readonly [string, readonly unknown[]])[]): SourceTable {
  const count = columns.reduce((most, [, values]) => Math.max(most, values.length), 0);
  checkRows(name, count);
  const rows = Array.from({ length: count }, (_, i): SourceRow => {
    const fields = Object.fromEntries(columns.filter(([, values]) => i < values.length).map(([column, values]) => [column, values[i]]));
    return { line: i + 1, excerpt: excerptOf(JSON.stringify(fields)), fields };
  });
  return { columns: columns.map(([column]) => column), rows };
}

/** Line on which each element of the outermost list starts. The text is known to be JSON. */
function elementLines(text: string, from: number): number[] {
  const lines: number[] = [];
  let depth = 0;
  let line = 1;
  let waiting = false;
  for (let i = from; i < text.length; i++) {
    const char = text[i];
    if (char === '\n') line++;
    if (char === ' ' || char === '\n' || char === '\r' || char === '\t') continue;
    if (waiting && char !== ']') {
      lines.push(line);
      waiting = false;
    }
    if (char === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++;
    } else if (char === '[' || char === '{') {
      depth++;
      if (depth === 1) waiting = true;
    } else if (char === ']' || char === '}') depth--;
    else if (char === ',' && depth === 1) waiting = true;
  }
  return lines;
}
