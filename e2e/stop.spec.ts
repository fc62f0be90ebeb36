import { expect, test } from '@playwright/test';
import { finished, generateSome, maxTokens, ready, tokens, watch, withSettings } from './lab.ts';

for (const engine of ['webgpu', 'onnx'] as const) {
  test(`Stop works within a token, and the next run is not disturbed by it: ${engine}`, async ({ page }) => {
    watch(page);
    await withSettings(page, { engine });
    await page.goto('./');
    await ready(page);
    await maxTokens(page, 200);
    await generateSome(page, 1);
    await page.keyboard.press('Escape');
    await expect(page.getByText('stopped', { exact: true })).toBeVisible();
    const there = (await tokens(page, 0)).length;
    expect(there).toBeLessThan(200);
    await page.waitForTimeout(2000);
    expect((await tokens(page, 0)).length).toBe(there);

    await maxTokens(page, 4);
    await page.getByRole('button', { name: 'Generate' }).click();
    await finished(page);
    expect((await tokens(page, 0)).length).toBe(4);
  });
}
