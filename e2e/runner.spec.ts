import { expect, test, type Locator, type Page } from '@playwright/test';
import { done, fitButton, smallFit } from './fit-page.ts';
import { broken, cell, finished, generateSome, maxTokens, ready, tokens, watch, withSettings, written } from './lab.ts';
import { addRunner, loadButton, onRunner, runnerCard } from './runner-page.ts';
import { startRunner, token, type RunnerProcess } from './runner-process.ts';

let runner: RunnerProcess;
test.beforeAll(async ({ baseURL }) => {
  runner = await startRunner(new URL(baseURL ?? '').origin);
});
test.afterAll(() => runner.end());

const generate = (page: Page) => page.getByRole('button', { name: 'Generate' });

interface FitReceipt {
  readonly model: { readonly identity: string };
  readonly engine: { readonly adapter: string };
  readonly data: object;
  readonly recipe: object;
}

async function receiptOf(both: Locator, label: string | RegExp): Promise<FitReceipt> {
  const saved = both.page().waitForEvent('download');
  const name = typeof label === 'string' ? `Receipt of ${label}` : label;
  await both.getByRole('button', { name, exact: true }).click();
  const parts: unknown[] = await (await (await saved).createReadStream()).toArray();
  return JSON.parse(parts.join('')) as FitReceipt;
}

test('a model of a runner writes the same tokens and fits the same as the same model here', async ({ page }) => {
  test.setTimeout(300_000);
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

  await test.step('a fit here', async () => {
    await page.goto('./#/fit');
    await smallFit(page);
    await fitButton(page).click();
    await done(page);
  });

  await test.step('a wrong token is said so, with what to do', async () => {
    await page.goto('./#/models');
    await addRunner(page, runner, 'another-token-of-the-tests');
    await expect(page.getByRole('alert')).toContainText('runner/token');
    await addRunner(page, runner, token);
    await expect(page.getByRole('article', { name: /Runner 127/ })).toContainText('llama, 6 layers of 6 heads of 48');
    await expect(page.getByRole('row', { name: /^model / })).toContainText('The graph on Steer is of another shape.');
    expect(await broken(page)).toEqual([]);
  });

  await test.step('the same run there', async () => {
    await loadButton(page, 'stories15M').click();
    await ready(page);
    await expect(page.locator('.status')).toContainText('of the runner');
    await page.goto('./#/steer');
    await page.getByRole('button', { name: 'Run the same prompt here' }).click();
    await expect(page.getByRole('heading', { name: /^On stories15M, and on stories15M on 127/ })).toBeVisible({ timeout: 60_000 });
    await finished(page);
    expect([await tokens(page, 0), await tokens(page, 1)]).toEqual(here);
    await expect(page.getByText('The weights are the same, and so is every token.').first()).toBeVisible();
  });

  await test.step('the same fit there, beside the one here, with the receipts of both', async () => {
    await page.goto('./#/fit');
    await fitButton(page).click();
    await done(page);
    const both = page.getByRole('region', { name: /^The same recipe on stories15M, and on stories15M on 127/ });
    await expect(both).toContainText('The weights are the same');
    const [before, now] = [await receiptOf(both, 'stories15M'), await receiptOf(both, /^Receipt of stories15M on 127/)];
    expect(before.engine.adapter).toMatch(/^onnxruntime-web/);
    expect(now.engine.adapter).toMatch(/^onnxruntime-node/);
    const { identity } = before.model;
    expect(now).toMatchObject({ model: { identity }, data: before.data, recipe: before.recipe });
    expect(await broken(page)).toEqual([]);
  });
});

test('a runner that falls in the middle is an error with a way on; a stop is heard; other shapes are refitted', async ({ page }) => {
  await onRunner(page, runner, 'stories15M');
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
  await loadButton(page, 'model').click();
  await expect(page.getByRole('heading', { name: /^The graph does not carry over/ })).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText('It was made on 6 layers, this model has 5')).toBeVisible();
  expect(await broken(page)).toEqual([]);
  await page.getByRole('button', { name: 'Refit here with the same recipe' }).press('Enter');
  await expect(page.getByRole('heading', { name: /^The graph does not carry over/ })).toHaveCount(0, { timeout: 60_000 });
  await page.goto('./#/steer');
  await page.getByRole('button', { name: 'Undo' }).first().click();
  await expect(page.getByRole('heading', { name: /^The graph does not carry over/ })).toBeVisible();
});

test('a runner of another version is told apart: which side is older, and what to do', async ({ page }) => {
  watch(page);
  await withSettings(page, { engine: 'onnx', autoload: false });
  let protocol = 0;
  await page.context().route('**/v1/capabilities', async (route) => {
    const response = await route.fetch();
    const document = (await response.json()) as object;
    await route.fulfill({ response, json: { ...document, protocol, program: '9.8.7' } });
  });
  await page.goto('./#/models');
  await page.getByLabel('Remember the token in this browser').check();
  await addRunner(page, runner, token);
  await expect(page.getByRole('alert')).toContainText('0 there, 1 here; the runner is older');
  await expect(page.getByRole('alert')).toContainText('Update Tiller on the runner (it has 9.8.7) and start it again.');
  protocol = 2;
  await addRunner(page, runner, token);
  await expect(page.getByRole('alert')).toContainText('2 there, 1 here; this side is older');
  await expect(page.getByRole('alert')).toContainText('reload the page; the runner has 9.8.7.');
  await expect(runnerCard(page)).toHaveCount(0);
  protocol = 1;
  await addRunner(page, runner, token);
  await expect(loadButton(page, 'model')).toBeEnabled();

  await test.step('a runner that was updated since is not worked with until both agree', async () => {
    protocol = 2;
    await page.reload();
    await expect(runnerCard(page).getByRole('alert')).toContainText('this side is older');
    await expect(loadButton(page, 'model')).toHaveCount(0);
    protocol = 1;
    await runnerCard(page).getByRole('button', { name: 'Ask again' }).press('Enter');
    await expect(loadButton(page, 'model')).toBeEnabled();
    await expect(page.getByRole('alert')).toHaveCount(0);
  });
});
