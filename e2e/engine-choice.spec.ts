import { createReadStream, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
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

/** The embedded model's files as a hub on another origin has them. */
async function hub(): Promise<Server> {
  const server = createServer((request, response) => {
    const allow = { 'access-control-allow-origin': '*', 'access-control-expose-headers': '*', 'access-control-allow-headers': 'range' };
    const name = /^\/some\/model\/resolve\/main\/([\w.-]+)$/.exec(new URL(request.url ?? '', 'http://hub').pathname)?.[1] ?? '';
    const path = join('models', 'stories15M', name);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (request.method === 'OPTIONS') return response.writeHead(204, allow).end();
    if (name === '' || size === undefined) return response.writeHead(404, allow).end();
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = range ? Number(range[1]) : 0;
    const end = range?.[2] ? Math.min(size, Number(range[2]) + 1) : size;
    const partial = range ? { 'content-range': `bytes ${start}-${end - 1}/${size}` } : {};
    response.writeHead(range ? 206 : 200, { ...allow, ...partial, 'content-length': end - start, 'accept-ranges': 'bytes' });
    if (request.method === 'HEAD') return response.end();
    return createReadStream(path, { start, end: end - 1 }).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

test('a page that is isolated still downloads models from another origin', async ({ page }) => {
  watch(page);
  const server = await hub();
  try {
    await withSettings(page, { autoload: false, engine: 'onnx', hub: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    await page.goto('./#/models');
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await page.getByPlaceholder('owner/name').fill('some/model');
    await page.getByPlaceholder('owner/name').press('Enter');
    await ready(page);
    await expect(page.locator('.status')).toContainText('some/model · CPU (ONNX)');
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
