import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { catalogue } from '../src/errors/catalogue.ts';
import { errorDocs } from './error-docs-text.ts';

describe('docs/errors.md', () => {
  it('is what the catalogue says (run `npm run docs`)', () => {
    expect(readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')).toBe(errorDocs(catalogue));
  });

  it('says what happened, why and what to do for every code', () => {
    for (const [code, { what, why, fix }] of Object.entries(catalogue)) {
      expect(code).toMatch(/^[a-z]+(\/[a-z-]+)?$/);
      for (const text of [what, why, fix]) expect(text.trim().length, code).toBeGreaterThan(3);
    }
  });
});
