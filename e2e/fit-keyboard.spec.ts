import { expect, test } from '@playwright/test';
import { done, examples } from './fit-page.ts';
import { broken, ready, tabTo, watch, withSettings } from './lab.ts';

test('a fit can be made and read with the keyboard, and axe finds nothing in any state', async ({ page }) => {
  test.setTimeout(480_000);
  watch(page);
  await withSettings(page, { engine: 'onnx', autoload: true, theme: 'light' });
  await page.goto('./#/fit');
  await ready(page);
  const press = (key: string): Promise<void> => page.keyboard.press(key);

  await test.step('examples', async () => {
    await page.locator('main').focus();
    await tabTo(page, '#examples');
    await page.keyboard.insertText(examples);
    await expect(page.getByText('24 examples')).toBeVisible();
    expect(await broken(page)).toEqual([]);
  });

  await test.step('what is tried', async () => {
    await tabTo(page, 'details[data-part=sweep] > summary');
    await press('Enter');
    await tabTo(page, '[data-field=strengths]');
    await page.keyboard.insertText('0.25, 0.5');
    await tabTo(page, '[data-field=counts]');
    await page.keyboard.insertText('1, 2');
    await press('Tab');
    await page.getByLabel('What it costs is measured on').selectOption('own');
    await tabTo(page, '[data-field=neutral]');
    await page.keyboard.insertText('The cat sat on the mat.\nHe went to the shop.');
    await tabTo(page, 'button.primary');
    await expect(page.getByRole('button', { name: 'Fit', exact: true })).toBeFocused();
    await press('Enter');
    await done(page);
  });

  await test.step('heads, and one of them closely', async () => {
    await tabTo(page, '[data-row]');
    await press('Home');
    for (let layer = 0; layer < 6; layer += 1) await press('ArrowUp');
    await press('ArrowDown');
    await expect(page.locator('[data-row="6"]')).toBeFocused();
    await expect(page.locator('[data-row="6"]')).toHaveAccessibleName(/^layer 1, head 0: .*95 % interval/);
    await press('Enter');
    await expect(page.getByRole('heading', { name: 'Close up: layer 1, head 0' })).toBeVisible();
    await expect(page.getByRole('option', { name: /row: / }).first()).toBeVisible({ timeout: 60_000 });
    await tabTo(page, '[role=option]');
    await press('ArrowRight');
    await expect(page.locator('[data-order="1"]').first()).toBeFocused();
  });

  await test.step('the sweep', async () => {
    await tabTo(page, '[data-key]');
    await press('ArrowRight');
    await press('ArrowUp');
    await expect(page.locator('[data-key="0.5,2"]')).toBeFocused();
    await expect(page.locator('[data-key="0.5,2"]')).toHaveAccessibleName(/Strength ×0.5, 2 heads: gain .* KL /);
    await press('Enter');
    await expect(page.getByText('Picked by you: 2 heads at ×0.5')).toBeVisible();
    await tabTo(page, '[role=listbox] [data-order]');
    await press('End');
  });

  await test.step('axe, light and dark, wide and narrow', async () => {
    for (const summary of await page.locator('summary').all())
      if (!(await summary.evaluate((node) => node.parentElement instanceof HTMLDetailsElement && node.parentElement.open)))
        await summary.click();
    expect(await broken(page)).toEqual([]);
    await page.evaluate(() => (document.documentElement.dataset.theme = 'dark'));
    expect(await broken(page)).toEqual([]);
    await page.setViewportSize({ width: 390, height: 900 });
    expect(await broken(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
  });

  await test.step('to Steer', async () => {
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.locator('#outcome-title').scrollIntoViewIfNeeded();
    await page.getByRole('button', { name: 'Send to Steer' }).focus();
    await press('Enter');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Steer');
    await expect(page.locator('[data-row][aria-selected="true"]')).toHaveCount(2);
  });
});
