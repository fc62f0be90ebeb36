import { readFileSync, writeFileSync } from 'node:fs';
import { withMethodParts } from './method-docs-text.ts';

/** `npx tsx scripts/method-docs.ts`: writes the made parts of docs/methods.md. A test fails while they are stale. */
const page = new URL('../docs/methods.md', import.meta.url);
writeFileSync(page, withMethodParts(readFileSync(page, 'utf8')));
