import { TillerError } from '../errors/error.ts';
import { delimitedRecords, tableOf } from './delimited.ts';
import { jsonDocument, jsonLines } from './json-rows.ts';
import { exampleLimits } from './limits.ts';
import { detectLineForm, lineRows } from './line-rows.ts';
import { parquetRows } from './parquet-rows.ts';
import type { SourceTable } from './source-row.ts';

/** Formats a source may have. The names are options of command line and page. */
export const exampleFormats = ['lines', 'csv', 'tsv', 'json', 'jsonl', 'parquet'] as const;
export type ExampleFormat = (typeof exampleFormats)[number];

export interface ExampleSource {
  /** A file name, or a word for what was pasted: for messages, and its ending helps to tell the format. */
  readonly name: string;
  readonly text?: string;
  readonly bytes?: Uint8Array;
}

/** Ways to read a source, likeliest first: the first that some form of example fits is taken. */
export interface Candidate {
  readonly format: ExampleFormat;
  /** Format and particulars for people: `CSV with a header`. */
  readonly title: string;
  read(): Promise<SourceTable>;
}

const endings: Readonly<Record<string, ExampleFormat>> = {
  csv: 'csv', tsv: 'tsv', tab: 'tsv', json: 'json', jsonl: 'jsonl', ndjson: 'jsonl', parquet: 'parquet',
}; // prettier-ignore

const isParquet = (bytes: Uint8Array): boolean =>
  bytes.length >= 4 && bytes[0] === 0x50 && bytes[1] === 0x41 && bytes[2] === 0x52 && bytes[3] === 0x31;

/** UTF-8, or UTF-16 where a byte order mark says so. Bytes that are no characters become U+FFFD, which costs the row they are in. */
function decode(bytes: Uint8Array): string {
  const utf16 = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : null;
  return new TextDecoder(utf16 ?? 'utf-8').decode(bytes);
}

/**
 * How a source may be read. With a format given, only that one.
 * @throws examples/too-large, examples/file
 */
export function candidates(source: ExampleSource, given: ExampleFormat | undefined): Candidate[] {
  const { name } = source;
  const size = source.bytes?.length ?? source.text?.length ?? 0;
  if (size > exampleLimits.bytes) {
    throw new TillerError('examples/too-large', { name, what: 'its size in bytes', got: size, limit: exampleLimits.bytes });
  }
  if (source.bytes && (given === 'parquet' || (given === undefined && isParquet(source.bytes)))) {
    const { bytes } = source;
    return [{ format: 'parquet', title: 'Parquet', read: () => parquetRows(name, bytes) }];
  }
  if (given === 'parquet') throw new TillerError('examples/file', { name, problem: 'Parquet is read from bytes, and this is text' });
  const text = (source.text ?? decode(source.bytes ?? new Uint8Array())).replace(/^\ufeff/, '');
  const format = given ?? byEnding(name);
  const all = candidatesOfText(name, text);
  if (given !== undefined) return all[given];
  const rest = guesses(text).filter((guess) => guess !== format);
  return [...(format === null || format === 'parquet' ? [] : [format]), ...rest].flatMap((each) => all[each]);
}

function byEnding(name: string): ExampleFormat | null {
  const ending = /\.([a-z0-9]+)$/i.exec(name)?.[1].toLowerCase() ?? '';
  return Object.hasOwn(endings, ending) ? endings[ending] : null;
}

function guesses(text: string): Exclude<ExampleFormat, 'parquet'>[] {
  const start = text.trimStart();
  const [first] = start.split(/\r\n|\r|\n/, 1);
  if (start.startsWith('[')) return ['json', 'jsonl', 'lines'];
  if (start.startsWith('{')) return /[\r\n]/.test(start.trimEnd()) ? ['jsonl', 'json'] : ['json', 'jsonl'];
  return first.includes('\t') ? ['tsv', 'lines', 'csv'] : ['csv', 'lines'];
}

function candidatesOfText(name: string, text: string): Record<ExampleFormat, Candidate[]> {
  const table = (format: 'csv' | 'tsv', header: boolean): Candidate => ({
    format,
    title: `${format.toUpperCase()} ${header ? 'with' : 'without'} a header`,
    read: async () => tableOf(delimitedRecords(name, text, format === 'csv' ? ',' : '\t'), header),
  });
  const lines = text.split(/\r\n|\r|\n/, 500);
  const form = detectLineForm(lines);
  return {
    csv: [table('csv', true), ...(form ? [] : [table('csv', false)])],
    tsv: [table('tsv', true), ...(form?.columns[0] === 'label' ? [] : [table('tsv', false)])],
    json: [{ format: 'json', title: 'JSON', read: async () => jsonDocument(name, text) }],
    jsonl: [{ format: 'jsonl', title: 'JSON lines', read: async () => jsonLines(name, text) }],
    lines: form
      ? [{ format: 'lines', title: `lines: ${form.what.replaceAll('`', '')}`, read: async () => lineRows(name, text, form) }]
      : [],
    parquet: [],
  };
}
