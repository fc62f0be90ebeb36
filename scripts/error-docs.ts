import { writeFileSync } from 'node:fs';
import { catalogue } from '../src/errors/catalogue.ts';
import { errorDocs } from './error-docs-text.ts';

/** `npm run docs`: writes docs/errors.md from the catalogue. A test fails while the file is older than the table. */
writeFileSync(new URL('../docs/errors.md', import.meta.url), errorDocs(catalogue));
