import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { points } from '../src/graph/points.ts';
import { parseGraph } from '../src/graph/schema.ts';
import { withParts } from './graph-docs-text.ts';
import { graphSchemaText } from './graph-schema-text.ts';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');

describe('docs/graph.md', () => {
  const page = read('../docs/graph.md');

  it('has the tables of the code (else run `npx tsx scripts/graph-schema.ts`)', () => {
    expect(page).toBe(withParts(page));
    for (const { point, doc } of points)
      expect(page).toMatch(new RegExp(`\\| \`${point}\` \\|.*${doc.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`));
  });

  it('shows a document that is valid', () => {
    const examples = [...page.matchAll(/```json\n([^]*?)```/g)].map((match) => JSON.parse(match[1]) as unknown);
    expect(examples).toHaveLength(1);
    for (const example of examples) expect(parseGraph(example)).toEqual(example);
  });
});

describe('public/graph.schema.json', () => {
  it('is that of the code (else run `npx tsx scripts/graph-schema.ts`)', async () => {
    expect(read('../public/graph.schema.json')).toBe(await graphSchemaText());
  });
});
