import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { TillerError } from '../errors/error.ts';
import { columnsOf } from './json-rows.ts';
import { exampleLimits } from './limits.ts';
import { checkRows, excerptOf, type SourceRow, type SourceTable } from './source-row.ts';

/** Unpacked bytes that a Parquet file may have: compression is allowed, bombs are not. */
const UNPACKED = 4 * exampleLimits.bytes;

/**
 * Rows of a Parquet file, plain or packed with Snappy. Counts in its metadata are checked first; `line` is the number of the row.
 * @throws examples/file, examples/too-large
 */
export async function parquetRows(name: string, bytes: Uint8Array): Promise<SourceTable> {
  const buffer = bytes.slice().buffer;
  const fail = (cause: unknown): never => {
    if (cause instanceof TillerError) throw cause;
    const problem = `it is not a Parquet file that can be read (${cause instanceof Error ? cause.message : String(cause)})`;
    throw new TillerError('examples/file', { name, problem }, { cause });
  };
  try {
    const metadata = parquetMetadata(buffer);
    checkRows(name, Number(metadata.num_rows));
    const unpacked = metadata.row_groups
      .flatMap((group) => group.columns)
      .reduce((sum, column) => sum + Number(column.meta_data?.total_uncompressed_size ?? 0), 0);
    if (unpacked > UNPACKED)
      throw new TillerError('examples/too-large', { name, what: 'unpacked, its size', got: unpacked, limit: UNPACKED });
    const objects: Record<string, unknown>[] = await parquetReadObjects({ file: buffer, metadata });
    checkRows(name, objects.length);
    const rows = objects.map((fields, i): SourceRow => ({ line: i + 1, excerpt: excerptOf(Object.values(fields).slice(0, 4).map(shown).join(' | ')), fields })); // prettier-ignore
    return { columns: columnsOf(rows), rows };
  } catch (cause) {
    return fail(cause);
  }
}

const shown = (value: unknown): string =>
  typeof value === 'string' ? value.slice(0, 200) : typeof value === 'number' || typeof value === 'bigint' ? String(value) : '…';
