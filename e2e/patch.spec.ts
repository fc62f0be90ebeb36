import { createRequire } from 'node:module';
import { expect, test, type Page } from '@playwright/test';
import type { AxeResults } from 'axe-core';
import { pressOnceThere, ready, watch, withSettings } from './lab.ts';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

async function open(page: Page, theme: 'light' | 'dark'): Promise<void> {
  watch(page);
  await withSettings(page, { theme, engine: 'onnx' });
  await page.goto('./#/fit?by=patching');
  await ready(page);
  await expect(page.getByRole('button', { name: 'Trace' })).toBeEnabled();
}

test('the head that names the other one is found, by keyboard, and steers', async ({ page }) => {
  await open(page, 'light');
  await page.getByRole('button', { name: 'Trace' }).press('Enter');
  await expect(page.getByText('Done: the map is below.')).toBeVisible({ timeout: 150_000 });
  await expect(page.locator('dl')).toContainText('8.02 nats');
  const cell = page.getByRole('gridcell', { name: /^layer 4, head 4: 0\.92 of the difference/ });
  await cell.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByText('Rank 1 of 36.')).toBeVisible();
  await page.keyboard.press('ArrowDown');
  await expect(page.getByRole('gridcell', { name: /^layer 5, head 4:/ })).toBeFocused();
  await page.addScriptTag({ path: axePath });
  const axe = await page.evaluate(() => (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run());
  expect(axe.violations.map(({ id }) => id)).toEqual([]);

  await page.reload();
  await ready(page);
  await expect(cell).toBeVisible();
  await page.getByRole('button', { name: 'Steer these heads' }).press('Enter');
  await expect(page.getByText('12 edits')).toBeVisible({ timeout: 120_000 });
  await expect(page.locator('article').nth(1)).toContainText('Anna');
});

test('prompts of unequal length are shown side by side; a study that is cancelled goes on', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 900 });
  await open(page, 'dark');
  const corrupted = page.getByLabel('Corrupted prompt', { exact: true });
  const before = await corrupted.inputValue();
  await corrupted.fill(before.replace('park', 'big park'));
  await expect(page.getByRole('alert')).toContainText('12 and 13 tokens');
  await expect(page.getByRole('button', { name: 'Trace' })).toBeDisabled();
  await page.addScriptTag({ path: axePath });
  const axe = await page.evaluate(() => (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run());
  expect(axe.violations.map(({ id }) => id)).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);

  await corrupted.fill(before);
  await page.getByLabel('Exchange at').selectOption('chosen positions');
  await page.getByRole('button', { name: 'Patch position 10' }).click();
  await page.getByLabel('also whole layers').check();
  await pressOnceThere(page, '[role=gridcell]', 'Cancel');
  await page.getByRole('button', { name: 'Trace' }).click();
  await expect(page.getByText('Cancelled. What was done is kept')).toBeVisible({ timeout: 120_000 });
  await page.getByLabel('also whole layers').uncheck();
  await page.getByRole('button', { name: 'Trace' }).click();
  await expect(page.getByText(/^Taken from an earlier run: \d+ parts?\.$/)).toBeVisible({ timeout: 120_000 });
  await expect(page.getByText('Done: the map is below.')).toBeVisible({ timeout: 150_000 });
});
