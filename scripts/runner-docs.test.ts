import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { withEndpoints } from './runner-docs-text.ts';

it('docs/runner.md has the endpoints of the table (else run `npm run docs`)', () => {
  const page = readFileSync(new URL('../docs/runner.md', import.meta.url), 'utf8');
  expect(page).toBe(withEndpoints(page));
  expect(page).toContain('`GET /v1/capabilities`');
});
