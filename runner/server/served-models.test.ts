import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { golden } from '../../test/cli.ts';
import { codeOf } from '../../test/runner.ts';
import { findServedModels } from './served-models.ts';

const model = golden('llama_gqa_tied');
const find = (...folders: string[]): ReturnType<typeof findServedModels> => findServedModels(folders, new AbortController().signal);

let place: string;
let models: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'tiller-served-'));
  models = join(place, 'models');
  mkdirSync(models);
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

it('follows no link out of a configured folder, neither of a model nor of one of its files', async () => {
  cpSync(model, join(models, 'own'), { recursive: true });
  const elsewhere = join(place, 'elsewhere');
  cpSync(model, elsewhere, { recursive: true });
  symlinkSync(elsewhere, join(models, 'linked'));
  cpSync(model, join(models, 'partly'), { recursive: true });
  rmSync(join(models, 'partly', 'config.json'));
  symlinkSync(join(elsewhere, 'config.json'), join(models, 'partly', 'config.json'));

  const found = await find(models);
  expect(found.models.map(({ name }) => name)).toEqual(['own']);
  expect(found.skipped.map(({ name }) => name)).toEqual(['linked', 'partly']);
  for (const { reason } of found.skipped) expect(reason).toContain('link');
});

it('follows links within a configured folder, and a folder that is itself a link', async () => {
  cpSync(model, join(models, 'own'), { recursive: true });
  symlinkSync(join(models, 'own'), join(models, 'alias'));
  symlinkSync(models, join(place, 'short'));
  expect((await find(join(place, 'short'))).models.map(({ name }) => name)).toEqual(['alias', 'own']);
});

it('serves the first of two models of one name, and says so', async () => {
  cpSync(model, join(models, 'same'), { recursive: true });
  cpSync(model, join(place, 'more', 'same'), { recursive: true });
  const found = await find(models, join(place, 'more'));
  expect(found.models).toHaveLength(1);
  expect(found.models[0].folder.startsWith(models)).toBe(true);
  expect(found.skipped[0]).toMatchObject({ name: 'same' });
});

it('refuses folders without any model', async () => {
  expect(await codeOf(find(models))).toBe('runner/models');
  expect(await codeOf(find(join(place, 'nowhere')))).toBe('runner/models');
});
