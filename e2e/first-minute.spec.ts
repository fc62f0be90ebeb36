import { expect, test } from '@playwright/test';
import { cell, finished, maxTokens, ready, rested, tokens, watch, withSettings, written } from './lab.ts';

test('from opening the page to a shared link that shows the same run, on WebGPU', async ({ context, page }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  // A software GPU on a busy machine writes a few tokens a second.
  test.setTimeout(420_000);
  watch(page);
  await withSettings(page, { engine: 'webgpu' });
  await page.goto('./');

  await test.step('a recorded run is there before any model', async () => {
    await expect(page.getByText('recorded', { exact: true })).toBeVisible();
    await expect(page.locator('article')).toHaveCount(2);
    expect((await tokens(page, 0)).length).toBeGreaterThan(10);
    await expect(page.getByRole('grid')).toBeVisible();
  });

  await test.step('the embedded model loads by itself, and Generate writes both texts', async () => {
    await ready(page);
    await expect(page.locator('.status')).toContainText('stories15M · WebGPU on a software GPU');
    await maxTokens(page, 8);
    await page.getByRole('button', { name: 'Generate' }).click();
    await finished(page);
    expect((await tokens(page, 0)).length).toBe(8);
    await expect(page.locator('article').nth(1)).toContainText('differs from token');
    await expect(page.locator('article').nth(1)).toContainText('edits');
    await expect(page.getByText('nats')).toBeVisible();
  });

  await test.step('the strength is live', async () => {
    const before = await tokens(page, 1);
    await page.locator('#strength').fill('0');
    await expect.poll(() => tokens(page, 1), { timeout: 90_000 }).toEqual(await tokens(page, 0));
    await page.keyboard.press('Control+z');
    await expect.poll(() => tokens(page, 1), { timeout: 90_000 }).toEqual(before);
  });

  await test.step('a head can be clicked in and out', async () => {
    await cell(page, 0, 0).click();
    await expect(cell(page, 0, 0)).toHaveAttribute('aria-selected', 'true');
    await rested(page);
    await written(page);
  });

  await test.step('whoever opens the link sees the same run', async () => {
    await page.getByRole('button', { name: 'Copy link' }).click();
    const link = await page.getByLabel('Link to this run').inputValue();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(link);
    const shown = [await tokens(page, 0), await tokens(page, 1)];
    await page.close();

    const other = await context.browser()?.newContext();
    if (!other) throw new Error('no browser');
    const guest = await other.newPage();
    watch(guest);
    await withSettings(guest, { engine: 'webgpu' });
    await guest.goto(link);
    await ready(guest);
    await written(guest);
    await expect.poll(() => tokens(guest, 1), { timeout: 90_000 }).toEqual(shown[1]);
    expect(await tokens(guest, 0)).toEqual(shown[0]);
    await expect(cell(guest, 0, 0)).toHaveAttribute('aria-selected', 'true');
    expect(guest.url()).not.toContain('run=');
    await other.close();
  });
});
