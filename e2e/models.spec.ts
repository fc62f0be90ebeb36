import { expect, test } from '@playwright/test';
import { ready, watch, withSettings } from './lab.ts';

test('a model from an address is kept in the browser, resumed after a reload, verified and deleted', async ({ page, baseURL }) => {
  watch(page);
  await withSettings(page, { engine: 'reference', autoload: false });
  // Beyond this byte nothing comes until the page was loaded again.
  let held = true;
  await page.context().route('**/copy/**', async (route) => {
    const request = route.request();
    const url = request.url().replace('/copy/', '/models/stories15M/');
    if (held && Number(/^bytes=(\d+)-/.exec(request.headers().range ?? '')?.[1] ?? 0) > 24e6) return;
    await route.fulfill({ response: await route.fetch({ url }) }).catch(() => undefined);
  });
  await page.goto('./#/models');
  await expect(page.getByRole('row', { name: /stories15M/ })).toContainText('with the page');

  await page.getByPlaceholder('owner/name').fill(`${baseURL}copy/`);
  await page.getByPlaceholder('owner/name').press('Enter');
  await expect(page.getByRole('progressbar')).toHaveAccessibleName(/downloading, (2[4-9]|3\d) MB of 6\d MB/, { timeout: 60_000 });
  await page.reload();
  const stored = page.getByRole('listitem').filter({ hasText: '/copy/' });
  await expect(stored).toContainText('loading goes on from there');

  held = false;
  await stored.getByRole('button', { name: 'Go on and load' }).click();
  await ready(page);
  await expect(stored).toContainText('complete');
  await stored.getByRole('button', { name: 'Verify' }).click();
  await expect(page.getByText('is as it was when it was downloaded')).toBeVisible();
  await stored.getByRole('button', { name: 'Delete' }).click();
  await stored.getByRole('button', { name: /^Delete 6\d MB\?$/ }).click();
  await expect(page.getByText('Nothing is stored yet.')).toBeVisible();
});

test('a wrong address and an unknown model are errors with a remedy', async ({ page, baseURL }) => {
  watch(page);
  await withSettings(page, { autoload: false });
  await page.goto('./#/models');
  await page.getByPlaceholder('owner/name').fill(`${baseURL}nowhere/`);
  await page.getByPlaceholder('owner/name').press('Enter');
  await expect(page.getByRole('alert')).toContainText('model/not-found');
  await page.getByPlaceholder('owner/name').fill('no such model');
  await page.getByPlaceholder('owner/name').press('Enter');
  await expect(page.getByRole('alert')).toContainText('owner/name');
});

test('a narrow screen shows every model with its button, and the page does not scroll sideways', async ({ page }) => {
  watch(page);
  await withSettings(page, { autoload: false });
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto('./#/models');
  await expect(page.getByRole('button', { name: 'Load stories15M' })).toBeInViewport({ ratio: 1 });
  await expect(page.getByText('MIT · download 61 MB · memory')).toBeInViewport({ ratio: 1 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
});
