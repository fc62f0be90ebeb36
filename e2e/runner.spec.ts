import { expect, test, type Page } from '@playwright/test';
import { broken, cell, finished, maxTokens, ready, tokens, watch, withSettings } from './lab.ts';
import { startRunner, token, type RunnerProcess } from './runner-process.ts';

test.describe.configure({ mode: 'serial' });

let runner: RunnerProcess;
test.beforeAll(async ({ baseURL }) => {
  runner = await startRunner(new URL(baseURL ?? '').origin);
});
test.afterAll(() => runner.end());

const generate = (page: Page) => page.getByRole('button', { name: 'Generate' });

async function addRunner(page: Page, given: string): Promise<void> {
  await page.getByLabel('Address', { exact: true }).fill(runner.address);
  await page.getByLabel('Token', { exact: true }).fill(given);
  await page.getByLabel('Token', { exact: true }).press('Enter');
}

const load = (page: Page, name: string) => page.getByRole('button', { name: `Load ${name} on ` });

test('a model of a runner writes the same tokens as the same model here', async ({ page }) => {
  watch(page);
  await withSettings(page, { engine: 'onnx', autoload: true });
  await page.goto('./');
  await ready(page);
  await page.getByRole('textbox', { name: 'Prompt' }).fill('Tom had a red car.');
  await maxTokens(page, 10);
  await cell(page, 3, 2).click();
  await cell(page, 4, 1).click();
  await generate(page).click();
  await finished(page);
  const here = [await tokens(page, 0), await tokens(page, 1)];

  await test.step('a wrong token is said so, with what to do', async () => {
    await page.goto('./#/models');
    await addRunner(page, 'another-token-of-the-tests');
    await expect(page.getByRole('alert')).toContainText('runner/token');
    await addRunner(page, token);
    await expect(page.getByRole('article', { name: /Runner 127/ })).toContainText('llama, 6 layers of 6 heads of 48');
    await expect(page.getByRole('row', { name: /^model / })).toContainText('The graph on Steer is of another shape.');
    expect(await broken(page)).toEqual([]);
  });

  await test.step('the same run there', async () => {
    await load(page, 'stories15M').click();
    await ready(page);
    await expect(page.locator('.status')).toContainText('of the runner');
    await page.goto('./#/steer');
    await page.getByRole('button', { name: 'Run the same prompt here' }).click();
    await expect(page.getByRole('heading', { name: /^On stories15M, and on stories15M on 127/ })).toBeVisible({ timeout: 60_000 });
    await finished(page);
    expect([await tokens(page, 0), await tokens(page, 1)]).toEqual(here);
    await expect(page.getByText('The weights are the same, and so is every token.').first()).toBeVisible();
  });
});
