import { chromium, expect, test, type Page } from '@playwright/test';
import { browserExecutable } from '../test/browser.ts';
import { done, examples, fitButton, textField } from './fit-page.ts';
import { broken, finished, maxTokens, ready, tokens, watch } from './lab.ts';

const quiet = ['--headless=new', '--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** A page of a browser that is started with these arguments only. */
async function inBrowser(args: readonly string[], use: (page: Page) => Promise<void>): Promise<void> {
  const browser = await chromium.launch({ executablePath: browserExecutable() ?? undefined, args: [...quiet, ...args] });
  try {
    const page = await browser.newPage();
    watch(page);
    await use(page);
  } finally {
    await browser.close();
  }
}

const noGpu = ['--disable-gpu'];

test('a browser without WebGPU is told so, and everything works on the CPU, by keyboard', ({ baseURL }) =>
  inBrowser(noGpu, async (page) => {
    test.setTimeout(480_000);
    const press = (key: string): Promise<void> => page.keyboard.press(key);
    // Chromium cannot be started without the API any more, so the worker begins by losing it.
    await page.context().route('**/engine.worker*.js', async (route) => {
      const response = await route.fetch();
      const without = "Object.defineProperty(WorkerNavigator.prototype, 'gpu', { get: () => undefined });";
      await route.fulfill({ response, body: `${without}\n${await response.text()}` });
    });
    await page.goto(baseURL ?? '');

    await test.step('the reason is said, and the engine is named', async () => {
      await ready(page);
      await expect(page.getByText('This browser has no WebGPU.')).toBeVisible();
      await expect(page.getByText('The model runs on the CPU with ONNX Runtime.')).toBeVisible();
      await expect(page.locator('.status')).toContainText('stories15M · CPU (ONNX)');
      await expect(page.locator('.status')).toHaveAttribute('title', /^onnxruntime-web .* in WebAssembly, .*no GPU for WebGPU/);
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
      expect(await broken(page)).toEqual([]);
    });

    await test.step('both texts are written, and the strength is live', async () => {
      await maxTokens(page, 12);
      await page.getByRole('textbox', { name: 'Prompt' }).focus();
      await press('Control+Enter');
      await finished(page);
      const [plain, steered] = [await tokens(page, 0), await tokens(page, 1)];
      expect([plain.length, steered.length]).toEqual([12, 12]);
      expect(steered).not.toEqual(plain);
      await expect(page.locator('article').nth(1)).toContainText('edits');
      await page.getByLabel('Strength, as a number').focus();
      await press('Control+a');
      await page.keyboard.type('0');
      await press('Enter');
      await expect.poll(() => tokens(page, 1), { timeout: 60_000 }).toEqual(plain);
      await page.locator('main').focus();
      await press('Control+z');
      await expect.poll(() => tokens(page, 1), { timeout: 60_000 }).toEqual(steered);
    });

    await test.step('a quick look at examples ends with results', async () => {
      await page.evaluate(() => (location.hash = '#/fit'));
      await textField(page).focus();
      await page.keyboard.insertText(examples);
      await expect(page.getByText('24 examples')).toBeVisible();
      await expect(page.getByRole('button', { name: 'A quick look' })).toHaveAttribute('aria-pressed', 'true');
      await fitButton(page).press('Enter');
      await done(page);
      await expect(page.getByRole('heading', { name: 'On rows that nothing was chosen by' })).toBeVisible();
    });

    await test.step('the Models page offers what the CPU can hold, and says which engine runs', async () => {
      await page.evaluate(() => (location.hash = '#/models'));
      await expect(page.locator('dl')).toContainText('CPU (ONNX): onnxruntime-web');
      expect(await broken(page)).toEqual([]);
    });
  }));

test('a browser that finds no adapter is told that instead, and a page that is not isolated runs on one thread', ({ baseURL }) =>
  inBrowser(noGpu, async (page) => {
    await page.context().route(baseURL ?? '', async (route) => {
      const response = await route.fetch();
      const headers = Object.fromEntries(Object.entries(response.headers()).filter(([name]) => !name.startsWith('cross-origin-')));
      await route.fulfill({ response, headers });
    });
    await page.goto(baseURL ?? '');
    await ready(page);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    await expect(page.getByText('No GPU adapter is available.').first()).toBeVisible();
    await expect(page.locator('.status')).toHaveAttribute('title', /in WebAssembly, one thread/);
    await maxTokens(page, 4);
    await page.getByRole('button', { name: 'Generate' }).click();
    await finished(page);
    expect((await tokens(page, 1)).length).toBe(4);
  }));

test('a page that is not secure says that this is the reason', ({ baseURL }) =>
  inBrowser(['--host-resolver-rules=MAP lab.test 127.0.0.1'], async (page) => {
    // The preview server answers to localhost only, so requests for the other name are handed on to it.
    await page.context().route('http://lab.test/**', async (route) => {
      const url = route
        .request()
        .url()
        .replace('http://lab.test/', baseURL ?? '');
      await route.fulfill({ response: await route.fetch({ url }) });
    });
    await page.goto('http://lab.test/');
    await ready(page);
    await expect(page.getByText('WebGPU is not available on an insecure page.')).toBeVisible();
    await expect(page.locator('.status')).toContainText('CPU (ONNX)');
    await page.context().unrouteAll({ behavior: 'ignoreErrors' });
  }));

test('without ONNX Runtime the reference engine is the last resort, and says so', ({ baseURL }) =>
  inBrowser(noGpu, async (page) => {
    await page.context().route('**/*.wasm', (route) => route.abort());
    await page.goto(baseURL ?? '');
    await ready(page);
    await expect(page.getByText(/^Could not fetch .*wasm/)).toBeVisible();
    await expect(page.getByText('the slow reference engine runs')).toBeVisible();
    await expect(page.locator('.status')).toContainText('CPU (reference)');
  }));
