import { readFileSync, writeFileSync } from 'node:fs';
import { withEndpoints } from './runner-docs-text.ts';

/** `npx tsx scripts/runner-docs.ts`: writes the table of docs/runner.md. A test fails while it is stale. */
const page = new URL('../docs/runner.md', import.meta.url);
writeFileSync(page, withEndpoints(readFileSync(page, 'utf8')));
