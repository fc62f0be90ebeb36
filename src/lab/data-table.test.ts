import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { delimitedRecords } from '../examples/delimited.ts';
import { cellText, csvText } from './data-table.ts';

describe('tables as files', () => {
  it('come back from CSV as they were, whatever is in the cells', () => {
    const cell = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/^\s|\s$|\0/.test(text));
    fc.assert(
      fc.property(fc.array(fc.record({ a: cell, b: cell }), { minLength: 1 }), (rows) => {
        const text = csvText({ columns: [{ key: 'a', label: 'A' }, { key: 'b', label: 'B' }], rows }); // prettier-ignore
        const records = [...delimitedRecords('table', text, ',')];
        expect(records.slice(1).map(({ cells }) => cells)).toEqual(rows.map(({ a, b }) => [a, b]));
      }),
    );
  });

  it('leaves unknown cells empty', () => {
    expect(csvText({ columns: [{ key: 'x', label: 'X' }, { key: 'y', label: 'Y' }], rows: [{ x: 1, y: null }] })).toBe('x,y\n1,\n'); // prettier-ignore
    expect(cellText(null, undefined)).toBe('');
    expect(cellText(-1.5, undefined)).toBe('−1.5');
    expect(cellText(true, undefined)).toBe('yes');
  });
});
