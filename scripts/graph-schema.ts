import { readFileSync, writeFileSync } from 'node:fs';
import { withParts } from './graph-docs-text.ts';
import { graphSchemaText } from './graph-schema-text.ts';

/** `npx tsx scripts/graph-schema.ts`: writes public/graph.schema.json and the made parts of docs/graph.md. A test fails while either is stale. */
writeFileSync(new URL('../public/graph.schema.json', import.meta.url), await graphSchemaText());
const page = new URL('../docs/graph.md', import.meta.url);
writeFileSync(page, withParts(readFileSync(page, 'utf8')));
