import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { methods } from '../src/methods/methods.ts';
import { withMethodParts } from './method-docs-text.ts';

it('docs/methods.md has the tables of the code (else run `npx tsx scripts/method-docs.ts`)', () => {
  const page = readFileSync(new URL('../docs/methods.md', import.meta.url), 'utf8');
  expect(page).toBe(withMethodParts(page));
  for (const { name } of methods) expect(page).toContain(`### \`${name}\``);
});
