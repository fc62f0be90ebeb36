/** A table as a figure or a page shows it, and as it is written to files. */
export type Cell = string | number | boolean | null;

export interface DataTable {
  /** Name of the files, without ending. */
  readonly name: string;
  /** One sentence that says what the table, and the figure it belongs to, shows. */
  readonly caption: string;
  /** Keys are the names in CSV and JSON; labels are for people. */
  readonly columns: readonly { readonly key: string; readonly label: string; readonly write?: (value: number) => string }[];
  readonly rows: readonly Readonly<Record<string, Cell>>[];
  /** Rows that are worth showing on the page; all of them are in the files. @default all */
  readonly shown?: readonly Readonly<Record<string, Cell>>[];
}

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** RFC 4180, with a header; empty for what is not known. */
export function csvText({ columns, rows }: Pick<DataTable, 'columns' | 'rows'>): string {
  const line = (cells: readonly Cell[]): string => cells.map((cell) => (cell === null ? '' : quoted(String(cell)))).join(',');
  return [line(columns.map(({ key }) => key)), ...rows.map((row) => line(columns.map(({ key }) => row[key] ?? null)))].join('\n') + '\n';
}

/** A cell as people read it. */
export function cellText(cell: Cell | undefined, write: ((value: number) => string) | undefined): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell === 'number') return write ? write(cell) : String(cell).replace('-', '−');
  return typeof cell === 'boolean' ? (cell ? 'yes' : 'no') : cell;
}
