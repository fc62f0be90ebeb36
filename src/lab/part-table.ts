import { partNames } from '../jobs/part-names.ts';
import type { PartRow } from '../jobs/job.ts';
import type { DataTable } from './data-table.ts';
import { decimalsFor, formatDose, formatNumber } from './format-number.ts';

/** What an evaluation has measured so far, as a table: a row a condition. */
export function partTable({ done, total, unit, conditions }: PartRow): DataTable {
  const keys = Object.keys(conditions.at(0)?.values ?? {});
  return {
    name: 'evaluation',
    caption: done < total ? `Of ${done} of ${total} ${unit} so far.` : `Of all ${total} ${unit}.`,
    columns: [
      { key: 'condition', label: 'Condition' },
      { key: 'factor', label: 'Factor', write: formatDose },
      ...keys.map((key) => ({
        key,
        label: partNames[key] ?? key,
        write: (value: number) => formatNumber(value, decimalsFor(value)),
      })),
    ],
    rows: conditions.map(({ name, factor, values }) => ({ condition: name, factor, ...values })),
  };
}
