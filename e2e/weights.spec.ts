import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { HubServer } from '../test/hub/hub-server.ts';
import { ggufSample } from '../test/weights/gguf-model.ts';
import { ready, tokens, maxTokens, watch, withSettings, written } from './lab.ts';

/** GGUF and ONNX weights in the browser, from the hub, from next to the page and from this computer. */

const hub = new HubServer();
test.beforeAll(() => hub.start());
test.afterAll(() => hub.stop());
test.beforeEach(() => hub.reset());

const gguf = Buffer.from(ggufSample('llama_gqa_tied', 'llama', 'Q8_0').bytes);
const miniMind = 'models/minimind2-small/onnx/model_quantized.onnx';

test('MiniMind2 Small, served with the page as ONNX, is stored, says how it was kept, and knows the capital of France', async ({
  page,
}) => {
  test.skip(!existsSync(miniMind), '`npm run model -- minimind2-small` has not built it');
  test.setTimeout(420_000);
  watch(page);
  await withSettings(page, { engine: 'onnx', autoload: false });
  await page.goto('./#/models');
  const row = page.getByRole('row', { name: /MiniMind2 Small/ });
  await expect(row).toContainText('served with this page');
  await expect(row).toContainText('Apache-2.0');
  await page.getByRole('button', { name: 'Load MiniMind2 Small' }).click();
  await ready(page);
  await expect(page.getByText(/Weights stored as int8 a tensor.* change by .* as q8/)).toBeVisible();
  await expect(page.getByRole('listitem').filter({ hasText: 'MiniMind2 Small' })).toContainText('complete, onnx/model_quantized.onnx');

  await page.goto('./#/steer');
  // The directions of the first run belong to the embedded model.
  await page.getByRole('button', { name: 'Take the graph away' }).click();
  await page.getByRole('button', { name: 'Chat', exact: true }).click();
  await page.getByRole('textbox', { name: 'Message', exact: true }).fill('What is the capital of France?');
  await maxTokens(page, 10);
  await page.getByLabel('Temperature').fill('0');
  await page.getByRole('button', { name: 'Generate' }).click();
  await written(page);
  expect((await tokens(page, 0)).join('')).toContain('The capital of France is Paris.');
});

test('a gated GGUF file of the hub is chosen from its list, read with a token that goes nowhere else, and needs no network afterwards', async ({
  page,
}) => {
  watch(page);
  hub.repositories.set('owner/tiny', {
    files: { 'tiny-Q8_0.gguf': new Uint8Array(gguf), 'tiny-F32.gguf': ggufSample('llama_gqa_tied', 'llama', 'F32').bytes },
    licence: 'mit',
    gated: 'token',
  });
  hub.token = 'hf_e2e';
  await withSettings(page, { engine: 'reference', autoload: false, hub: hub.address });
  await page.goto('./#/models');
  await page.getByPlaceholder('owner/name').fill(`${hub.address}/owner/tiny/tree/main`);
  await page.getByRole('button', { name: 'Look at its files' }).click();
  await expect(page.getByRole('group', { name: 'Files of owner/tiny' })).toContainText(
    'licence mit, only for people who accepted its terms',
  );
  await page.getByLabel('Weights', { exact: true }).selectOption({ value: 'tiny-Q8_0.gguf' });
  await page.getByRole('button', { name: 'Load these' }).click();
  await expect(page.getByRole('alert')).toContainText('hub/gated');

  await page.getByText('Access token', { exact: true }).click();
  await page.getByLabel(/^Token for/).fill('hf_e2e');
  await page.getByRole('button', { name: 'Use it' }).click();
  await page.getByRole('button', { name: 'Load these' }).click();
  await ready(page);
  const stored = page.getByRole('listitem').filter({ hasText: 'owner/tiny:tiny-Q8_0.gguf' });
  await expect(stored).toContainText(`commit ${hub.commitOf('owner/tiny').slice(0, 10)}, licence mit`);
  expect(hub.seen.filter(({ host, authorization }) => host === 'cdn' && authorization !== null)).toEqual([]);
  expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toContain('hf_e2e');

  hub.seen.length = 0;
  await page.reload();
  await stored.getByRole('button', { name: 'Load', exact: true }).click();
  await ready(page);
  expect(hub.seen).toEqual([]);
  await stored.getByRole('button', { name: 'Verify' }).click();
  await expect(page.getByText('is as it was when it was downloaded')).toBeVisible();
});

test('a download from the hub survives a reload half way: it goes on at its byte and commit, and is compared with the hub’s hashes', async ({
  page,
}) => {
  watch(page);
  const folder = 'models/stories15M';
  const content = Object.fromEntries(
    ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'].map((name) => [
      name,
      new Uint8Array(readFileSync(`${folder}/${name}`)),
    ]),
  );
  hub.repositories.set('owner/stories', { files: content });
  await withSettings(page, { engine: 'reference', autoload: false, hub: hub.address });
  // From here on the file does not come, until the page was loaded again.
  let held = true;
  hub.trouble = (request, _, host) => held && host === 'cdn' && Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0) > 24e6;
  await page.goto('./#/models');
  await page.getByPlaceholder('owner/name').fill('owner/stories');
  await page.getByPlaceholder('owner/name').press('Enter');
  await expect(page.getByRole('progressbar')).toHaveAccessibleName(/downloading, (2[4-9]|3\d) MB of 6\d MB/, { timeout: 60_000 });
  await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible();
  await page.reload();
  held = false;
  hub.seen.length = 0;
  const stored = page.getByRole('listitem').filter({ hasText: 'owner/stories' });
  await expect(stored).toContainText('loading goes on from there');
  await stored.getByRole('button', { name: 'Go on and load' }).click();
  await ready(page);
  await expect(stored).toContainText('complete');
  expect(hub.seen.filter(({ url }) => url.includes('/api/'))).toEqual([]);
  expect(Math.min(...hub.rangesOf('model.safetensors'))).toBeGreaterThan(23e6);
});

test('a GGUF file of this computer is kept, and a full browser says so and keeps what it has', async ({ page, context }) => {
  watch(page);
  await withSettings(page, { engine: 'reference', autoload: false });
  await page.goto('./#/models');
  await page.getByLabel('Model files').setInputFiles({ name: 'tiny.gguf', mimeType: 'application/octet-stream', buffer: gguf });
  await ready(page);
  await expect(page.getByRole('heading', { name: 'Loaded: tiny.gguf' })).toBeVisible();
  await expect(page.getByRole('listitem').filter({ hasText: 'tiny.gguf' })).toContainText('complete');

  const cdp = await context.newCDPSession(page);
  await cdp.send('Storage.overrideQuotaForOrigin', { origin: new URL(page.url()).origin, quotaSize: 100_000 });
  await page.getByLabel('Model files').setInputFiles({ name: 'other.gguf', mimeType: 'application/octet-stream', buffer: gguf });
  await expect(page.getByRole('alert')).toContainText('There is no room for other.gguf');
  await expect(page.getByRole('listitem').filter({ hasText: 'tiny.gguf' })).toContainText('complete');
});
