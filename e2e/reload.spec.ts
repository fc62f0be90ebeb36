import { expect, test } from '@playwright/test';
import { cell, finished, generateSome, maxTokens, ready, tokens, watch, withSettings } from './lab.ts';

test('a reload loses nothing, and a run that was under way is called interrupted', async ({ page }) => {
  watch(page);
  await withSettings(page, { engine: 'reference', autoload: true });
  await page.goto('./');
  await ready(page);
  await page.getByRole('textbox', { name: 'Prompt' }).fill('Tom had a red car.');
  await page.getByLabel('Seed').fill('11');
  await maxTokens(page, 8);
  await cell(page, 5, 5).click();
  await page.getByLabel('Strength, as a number').fill('0.5');
  await page.getByLabel('Strength, as a number').press('Tab');
  await page.locator('#scope').selectOption({ label: 'everything' });
  await page.getByRole('button', { name: 'Generate' }).click();
  await finished(page);
  const before = [await tokens(page, 0), await tokens(page, 1)];
  await page.goto('./#/settings');
  await page.getByLabel('Dark').check();
  await page.goto('./#/steer');

  await page.reload();
  await expect(page.getByRole('textbox', { name: 'Prompt' })).toHaveValue('Tom had a red car.');
  await expect(page.getByLabel('Seed')).toHaveValue('11');
  await expect(page.getByLabel('Strength, as a number')).toHaveValue('0.5');
  await expect(page.locator('#scope')).toHaveValue('all');
  await expect(cell(page, 5, 5)).toHaveAttribute('aria-selected', 'true');
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  expect([await tokens(page, 0), await tokens(page, 1)]).toEqual(before);

  await ready(page);
  await expect(page.locator('.status')).toContainText('CPU (reference)');
  await maxTokens(page, 200);
  await generateSome(page, 9);
  await page.reload();
  await expect(page.getByText('interrupted', { exact: true })).toBeVisible();
  expect((await tokens(page, 0)).length).toBeGreaterThan(0);
  await expect(page.getByRole('button', { name: 'Generate' })).toBeVisible();
});
