import { createRequire } from 'node:module';
import { expect, test } from '@playwright/test';
import type { AxeResults } from 'axe-core';
import { watch, withSettings } from './lab.ts';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const pages = ['steer', 'fit', 'evaluate', 'models', 'jobs', 'learn', 'settings'];

for (const theme of ['light', 'dark'] as const) {
  for (const width of [1280, 390]) {
    test(`axe finds nothing on any page, ${theme}, ${width} pixels wide`, async ({ page }) => {
      watch(page);
      await page.setViewportSize({ width, height: 900 });
      await withSettings(page, { theme, autoload: false });
      await page.goto('./');
      await expect(page.getByText('recorded', { exact: true })).toBeVisible();
      await page.addScriptTag({ path: axePath });
      for (const name of pages) {
        await page.evaluate((hash) => (location.hash = hash), `#/${name}`);
        await expect(page.locator(`nav a[aria-current="page"]`)).toHaveText(new RegExp(name, 'i'));
        await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
        if (name === 'steer') for (const summary of await page.locator('summary').all()) await summary.click();
        const results = await page.evaluate(() => (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run());
        const found = results.violations.map((row) => `${name}: ${row.id} (${row.nodes.map((node) => node.target.join(' ')).join(', ')})`);
        expect(found).toEqual([]);
        expect(await page.evaluate(() => document.documentElement.scrollWidth), `${name} scrolls sideways`).toBeLessThanOrEqual(width);
        if (name === 'steer') {
          await page.keyboard.press('?');
          await expect(page.getByRole('dialog')).toBeVisible();
          const dialog = await page.evaluate(() => (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run());
          expect(dialog.violations.map((row) => row.id)).toEqual([]);
          await page.keyboard.press('Escape');
          await expect(page.getByRole('dialog')).toHaveCount(0);
        }
      }
    });
  }
}
