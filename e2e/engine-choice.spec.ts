import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { HubServer, type Content } from '../test/hub/hub-server.ts';
import { broken, finished, maxTokens, ready, tokens, watch, withSettings } from './lab.ts';

test('with a software GPU only, the CPU is taken; a person may choose otherwise, by keyboard, and it stays chosen', async ({ page }) => {
  test.setTimeout(300_000);
  watch(page);
  await page.goto('./');
  const status = page.locator('.status');

  await test.step('the choice and its reason are shown', async () => {
    await ready(page);
    await expect(status).toContainText('CPU (ONNX)');
    await expect(page.getByText('The only GPU here is a software one (swiftshader).')).toBeVisible();
    await maxTokens(page, 6);
    await page.getByRole('button', { name: 'Generate' }).press('Enter');
    await finished(page);
    expect((await tokens(page, 1)).length).toBe(6);
    await expect(page.getByText('· CPU (ONNX), onnxruntime-web')).toBeVisible();
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Receipt' }).press('Enter');
    const text = await (await saved).createReadStream().then(async (stream) => (await stream.toArray()).join(''));
    expect((JSON.parse(text) as { engine: unknown }).engine).toMatchObject({ name: 'onnx', kind: 'cpu' });
  });

  await test.step('WebGPU is chosen in Settings', async () => {
    await page.getByRole('link', { name: 'Choose another engine' }).press('Enter');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Settings');
    await page.getByRole('radio', { name: /^By itself/ }).focus();
    await page.keyboard.press('ArrowDown');
    await expect(page.getByRole('radio', { name: /^WebGPU/ })).toBeChecked();
    expect(await broken(page)).toEqual([]);
    await page.getByRole('button', { name: 'Load it again with this choice' }).press('Enter');
    await expect(status).toContainText('WebGPU on a software GPU', { timeout: 150_000 });
    await expect(page.getByText('The only GPU here')).toHaveCount(0);
  });

  await test.step('a reload keeps the choice', async () => {
    await page.reload();
    await ready(page);
    await expect(status).toContainText('WebGPU on a software GPU');
    await expect(page.getByRole('radio', { name: /^WebGPU/ })).toBeChecked();
  });
});

/** The embedded model's files, as a hub on another origin has them. */
function embeddedFiles(): Record<string, Content> {
  const folder = join('models', 'stories15M');
  const names = readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile());
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))]));
}

test('a page that is isolated still downloads models from another origin', async ({ page }) => {
  watch(page);
  const hub = new HubServer();
  await hub.start();
  hub.repositories.set('some/model', { files: embeddedFiles() });
  try {
    await withSettings(page, { autoload: false, engine: 'onnx', hub: hub.address });
    await page.goto('./#/models');
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await page.getByPlaceholder('owner/name').fill('some/model');
    await page.getByPlaceholder('owner/name').press('Enter');
    await ready(page);
    await expect(page.locator('.status')).toContainText('some/model · CPU (ONNX)');
  } finally {
    await hub.stop();
  }
});
