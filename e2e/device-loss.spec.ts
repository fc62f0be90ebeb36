import { expect, test } from '@playwright/test';
import { finished, maxTokens, ready, tokens, watch, withSettings } from './lab.ts';

test('a lost device is said, graph and text stay, and the run can be resumed', async ({ page }) => {
  watch(page);
  await withSettings(page, { autoload: false, engine: 'webgpu' });
  const started = page.waitForEvent('worker');
  await page.goto('./');
  const worker = await started;
  // The worker's devices, kept where the test can reach them: nothing in the product does this.
  await worker.evaluate(() => {
    const make = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, 'requestDevice')?.value as GPUAdapter['requestDevice'];
    const scope = self as typeof self & { devices: GPUDevice[] };
    scope.devices = [];
    GPUAdapter.prototype.requestDevice = async function (this: GPUAdapter, ...args) {
      const device = await make.apply(this, args);
      scope.devices.push(device);
      return device;
    };
  });
  await page.goto('./#/models');
  await page.getByRole('button', { name: 'Load stories15M' }).click();
  await page.goto('./#/steer');
  await ready(page);
  await maxTokens(page, 8);
  await page.getByRole('button', { name: 'Generate' }).click();
  await finished(page);
  const written = await tokens(page, 1);
  const steered = await page.locator('[data-row][aria-selected="true"]').count();

  await worker.evaluate(() => (self as typeof self & { devices: GPUDevice[] }).devices.forEach((device) => device.destroy()));
  await page.getByRole('button', { name: 'Generate' }).click();
  await expect(page.getByText('The GPU device was lost')).toBeVisible({ timeout: 30_000 });
  expect(await tokens(page, 1)).toEqual(written);
  expect(await page.locator('[data-row][aria-selected="true"]').count()).toBe(steered);

  await page.getByRole('button', { name: 'Resume' }).click();
  await ready(page);
  await finished(page);
  await expect.poll(() => tokens(page, 1), { timeout: 60_000 }).toEqual(written);
});
