import { expect, it } from 'vitest';
import { methods } from '../methods/methods.ts';
import { settingProblem, settingTitle } from './method-settings.ts';

it('writes names of settings as words', () => {
  expect(settingTitle('alpha')).toBe('Alpha');
  expect(settingTitle('randomHeads')).toBe('Random heads');
});

it('takes every default and says what is wrong with other values', () => {
  for (const { settings } of methods) for (const row of Object.values(settings)) expect(settingProblem(row, row.default)).toBeNull();
  expect(settingProblem({ kind: 'integer', default: 1, least: 1, most: 5, doc: '' }, 9)).toBe('This is not taken: 9 is outside 1 to 5.');
  expect(settingProblem({ kind: 'selector', default: 'all', doc: '' }, 'nowhere')).toContain('no selector');
});
