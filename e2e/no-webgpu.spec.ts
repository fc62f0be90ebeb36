import { chromium, expect, test, type Page } from '@playwright/test';
import { browserExecutable } from '../test/browser.ts';
import { finished, maxTokens, ready, tokens, watch } from './lab.ts';

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

test('a browser without WebGPU is told so, and goes on with the reference engine', ({ baseURL }) =>
  inBrowser([], async (page) => {
    // Chromium cannot be started without the API any more, so the worker begins by losing it.
    await page.context().route('**/engine.worker*.js', async (route) => {
      const response = await route.fetch();
      const without = "Object.defineProperty(WorkerNavigator.prototype, 'gpu', { get: () => undefined });";
      await route.fulfill({ response, body: `${without}\n${await response.text()}` });
    });
    await page.goto(baseURL ?? '');
    await ready(page);
    await expect(page.getByText('This browser has no WebGPU.')).toBeVisible();
    await expect(page.locator('.status')).toContainText('reference engine');
    await maxTokens(page, 6);
    await page.getByRole('button', { name: 'Generate' }).click();
    await finished(page);
    expect((await tokens(page, 1)).length).toBe(6);
    await page.evaluate(() => (location.hash = '#/models'));
    await expect(page.getByText('It needs WebGPU. This browser has no WebGPU.').first()).toBeVisible();
  }));

test('a browser that finds no adapter is told that instead', ({ baseURL }) =>
  inBrowser(['--disable-gpu'], async (page) => {
    await page.goto(baseURL ?? '');
    await ready(page);
    await expect(page.getByText('No GPU adapter is available.').first()).toBeVisible();
    await expect(page.locator('.status')).toContainText('reference engine');
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
  }));
