import { expect, test, type Page } from '@playwright/test';
import { done, fitButton, smallFit } from './fit-page.ts';
import { broken, cell, finished, generateSome, maxTokens, ready, tokens, watch, withSettings, written } from './lab.ts';
import { startRunner, token, type RunnerProcess } from './runner-process.ts';

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

const runnerCard = (page: Page) => page.getByRole('article', { name: /^Runner 127/ });

/** The page with the runner in it, its token remembered, and one of its models loaded. */
async function onRunner(page: Page, model: string): Promise<void> {
  watch(page);
  await withSettings(page, { engine: 'onnx', autoload: false });
  await page.goto('./#/models');
  await page.getByLabel('Remember the token in this browser').check();
  await addRunner(page, token);
  await expect(runnerCard(page)).toContainText('llama, 6 layers');
  await load(page, model).click();
  await ready(page);
}

test('a runner that falls in the middle is an error with a way on; a stop is heard; other shapes are refitted', async ({ page }) => {
  await onRunner(page, 'stories15M');
  await page.goto('./#/steer');
  await maxTokens(page, 200);
  await generateSome(page, 2);
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(page.getByText('stopped', { exact: true })).toBeVisible();
  expect((await tokens(page, 0)).length).toBeLessThan(200);

  await generateSome(page, 2);
  await runner.kill();
  await expect(page.getByRole('alert').first()).toContainText(/runner\/(connection|unreachable|origin)/, { timeout: 60_000 });
  await runner.startAgain();
  await maxTokens(page, 6);
  await generate(page).click();
  await written(page);
  expect((await tokens(page, 0)).length).toBe(6);

  await page.getByRole('button', { name: 'Use this direction' }).click();
  await expect(page.locator('[data-row][aria-selected="true"]').first()).toBeVisible({ timeout: 60_000 });
  await page.goto('./#/models');
  await load(page, 'model').click();
  await expect(page.getByRole('heading', { name: /^The graph does not carry over/ })).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText('It was made on 6 layers, this model has 5')).toBeVisible();
  expect(await broken(page)).toEqual([]);
  await page.getByRole('button', { name: 'Refit here with the same recipe' }).press('Enter');
  await expect(page.getByRole('heading', { name: /^The graph does not carry over/ })).toHaveCount(0, { timeout: 60_000 });
  await page.goto('./#/steer');
  await page.getByRole('button', { name: 'Undo' }).first().click();
  await expect(page.getByRole('heading', { name: /^The graph does not carry over/ })).toBeVisible();
});

test('a fit as a job of the runner outlives a reload of the page', async ({ page }) => {
  await onRunner(page, 'model');
  await page.goto('./#/fit');
  await smallFit(page);
  await fitButton(page).click();
  await expect(page.getByText('A job of the runner:')).toBeVisible({ timeout: 60_000 });
  await page.reload();
  await done(page);
  await page.goto('./#/jobs');
  await expect(page.getByRole('article').first()).toContainText('done');
  expect(await broken(page)).toEqual([]);
  await page.getByRole('button', { name: 'Send to Steer' }).first().click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Steer');
});
