import { checkRows, excerptOf, type SourceRow, type SourceTable } from './source-row.ts';

/** Ways to write one example a line, as people paste them. The first that fits most lines is taken for all. */
interface LineForm {
  readonly name: string;
  readonly what: string;
  readonly columns: readonly string[];
  /** Values of the columns, or null where a line is not of this form. */
  read(line: string): readonly string[] | null;
}

/** Two parts of a line around a separator, both with more than white space. */
function around(line: string, separator: string): readonly [string, string] | null {
  const at = line.indexOf(separator);
  if (at < 0) return null;
  const [before, after] = [line.slice(0, at).trim(), line.slice(at + separator.length).trim()];
  return before === '' || after === '' || after.includes(separator) ? null : [before, after];
}

const FASTTEXT = '__label__';

function fastText(line: string): readonly string[] | null {
  const text = line.trimStart();
  const end = text.search(/\s/u);
  const rest = end < 0 ? '' : text.slice(end).trim();
  return text.startsWith(FASTTEXT) && end > FASTTEXT.length && rest !== '' ? [text.slice(FASTTEXT.length, end), rest] : null;
}

function signed(line: string): readonly string[] | null {
  const text = line.trim();
  const rest = text.slice(1).trim();
  return ['+', '-', '−', '–'].includes(text[0]) && rest !== '' ? [text[0], rest] : null;
}

export const lineForms: readonly LineForm[] = [
  { name: 'fastText', what: '`__label__NAME text`', columns: ['label', 'text'], read: fastText },
  { name: 'wanted ||| unwanted', what: '`wanted text ||| unwanted text`', columns: ['positive', 'negative'], read: (line) => around(line, '|||') },
  { name: 'label, tab, text', what: '`label`, a tab, `text`', columns: ['column 1', 'column 2'], read: (line) => around(line, '\t') },
  { name: '+ or -', what: '`+ text` is wanted, `- text` is not', columns: ['label', 'text'], read: signed },
]; // prettier-ignore

const SAMPLE = 200;

/** The form that most of the first lines have; null where none has at least half of them. */
export function detectLineForm(lines: readonly string[]): LineForm | null {
  const sample = lines.filter((line) => line.trim() !== '').slice(0, SAMPLE);
  let best: LineForm | null = null;
  let most = 0;
  for (const form of lineForms) {
    const count = sample.filter((line) => form.read(line) !== null).length;
    if (count > most && 2 * count >= sample.length) [best, most] = [form, count];
  }
  return best;
}

/** One example a line; empty lines are left out. @throws examples/too-large */
export function lineRows(name: string, text: string, form: LineForm): SourceTable {
  const rows: SourceRow[] = [];
  for (const [i, line] of text.split(/\r\n|\r|\n/).entries()) {
    if (line.trim() === '') continue;
    const cells = form.read(line);
    const at = { line: i + 1, excerpt: excerptOf(line) };
    rows.push(
      cells
        ? { ...at, fields: Object.fromEntries(form.columns.map((column, c) => [column, cells[c]])) }
        : { ...at, problem: `the line is not of the form ${form.what.replaceAll('`', '')}` },
    );
    checkRows(name, rows.length);
  }
  return { columns: form.columns, rows };
}
