import { expect, it } from 'vitest';
import { csvText } from './data-table.ts';
import { partTable } from './part-table.ts';

it('shows what an evaluation has measured so far', () => {
  const part = {
    type: 'part' as const,
    ...{ unit: 'documents' as const, done: 20, total: 100 },
    conditions: [
      { name: 'as is', factor: 0, values: { crossEntropy: 2.5, kl: 0 } },
      { name: 'x2', factor: 2, values: { crossEntropy: 2.75, kl: 0.125 } },
    ],
  };
  const table = partTable(part);
  expect(table.caption).toBe('Of 20 of 100 documents so far.');
  expect(table.columns.map(({ label }) => label)).toEqual(['Condition', 'Factor', 'cross entropy', 'KL']);
  expect(csvText(table)).toBe('condition,factor,crossEntropy,kl\nas is,0,2.5,0\nx2,2,2.75,0.125\n');
  expect(partTable({ ...part, done: 100 }).caption).toBe('Of all 100 documents.');
});
