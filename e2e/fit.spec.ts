import { expect, test } from '@playwright/test';
import { done, examples, fitButton, sendButton, smallFit, stepsShown, textField } from './fit-page.ts';
import { maxTokens, ready, tokens, watch, withSettings, written } from './lab.ts';

test('from pasted lines to a steered story', async ({ page }) => {
  test.setTimeout(480_000);
  watch(page);
  await withSettings(page, { engine: 'onnx', autoload: true });
  await page.goto('./#/fit');
  await ready(page);
  await page.goto('./#/steer');
  await maxTokens(page, 4);
  await page.goto('./#/fit');

  await test.step('the examples are shown as the model reads them, bad rows with their line and reason', async () => {
    await smallFit(page);
    await expect(page.getByText('wanted: 12', { exact: true })).toBeVisible();
    await expect(page.getByRole('group', { name: 'Bad rows' })).toContainText('Line 25: the line is not of the form');
    await expect(page.getByText('No chat template')).toBeVisible();
    await expect(page.locator('.tokens .read').first()).toHaveText('.');
  });

  await test.step('the fit streams its table and ends with a choice', async () => {
    const steps = await stepsShown(page);
    await fitButton(page).click();
    await expect(page.getByRole('grid', { name: /^Heads by/ })).toBeVisible({ timeout: 120_000 });
    await done(page);
    expect(await steps()).toEqual([1, 2, 3, 4, 5].map((step) => `step ${step} of 5`));
    await expect(page.getByRole('heading', { name: 'What it does, and what it costs' })).toBeVisible();
    await expect(page.getByRole('heading', { name: 'On rows that nothing was chosen by' })).toBeVisible();
  });

  await test.step('a head can be looked at', async () => {
    await page.locator('[data-row="14"]').click();
    await expect(page.getByRole('heading', { name: 'Close up: layer 2, head 2' })).toBeVisible();
    await expect(page.getByRole('option', { name: /^wanted, .* row: / }).first()).toBeVisible({ timeout: 60_000 });
    await expect(page.getByText(/ROC of the direction at layer 2, head 2 on validation rows: area/).first()).toBeVisible();
  });

  await test.step('figures and results are files', async () => {
    const files = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Report' }).click();
    expect((await files).suggestedFilename()).toBe('report.json');
    await page.locator('section', { hasText: 'Where the difference is' }).getByText('As a table, and as files').first().click();
    const svg = page.waitForEvent('download');
    await page.getByRole('button', { name: 'SVG' }).first().click();
    expect((await svg).suggestedFilename()).toBe('places.svg');
  });

  await test.step('a point is picked, sent to Steer, written with, and undone', async () => {
    await page.locator('[data-key="0.5,1"]').click();
    await expect(page.getByText('Picked by you: 1 head at ×0.5')).toBeVisible();
    await sendButton(page).click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Steer');
    await expect(page.locator('[data-row][aria-selected="true"]')).toHaveCount(1);
    await expect(page.getByLabel('Strength, as a number')).toHaveValue('1');
    await written(page);
    expect((await tokens(page, 1)).length).toBe(4);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect(page.locator('[data-row][aria-selected="true"]')).not.toHaveCount(1);
  });

  await test.step('a reload loses nothing', async () => {
    await page.goto('./#/fit');
    await page.reload();
    await expect(textField(page)).toHaveValue(examples);
    await expect(page.getByText('Take it along')).toBeVisible();
    await expect(page.getByRole('grid', { name: /^Gain by strength/ })).toBeVisible();
  });
});

test('a fit that is cancelled goes on where it was', async ({ page }) => {
  test.setTimeout(480_000);
  watch(page);
  await withSettings(page, { engine: 'onnx', autoload: true });
  await page.goto('./#/fit');
  await ready(page);
  await smallFit(page);
  // No engine tries so many before the test has pressed Cancel; the table of heads comes once activations are read, and stays.
  const strengths = page.getByLabel('Strengths, as multiples');
  await strengths.fill(Array.from({ length: 5000 }, (_, index) => (index + 1) / 10_000).join(', '));
  await strengths.press('Tab');
  await expect(page.getByText('What is tried: 5000 strengths')).toBeVisible();
  await fitButton(page).click();
  await expect(page.getByRole('grid', { name: /^Heads by/ })).toBeVisible({ timeout: 120_000 });
  await page.getByRole('button', { name: 'Cancel' }).click();
  await expect(page.getByText('Cancelled. What was done is kept')).toBeVisible({ timeout: 60_000 });
  await strengths.fill('0.25, 0.5');
  await strengths.press('Tab');
  await fitButton(page).click();
  await expect(page.getByText('Taken from an earlier run: reading activations: 19 texts')).toBeVisible({ timeout: 60_000 });
  await done(page);
});

test('an address names set and method, and bad examples are said before anything runs', async ({ page }) => {
  watch(page);
  await withSettings(page, { engine: 'onnx', autoload: true });
  await page.goto('./#/fit?set=story-sentiment&method=caa');
  await ready(page);
  await expect(page.getByLabel('Where they come from')).toHaveValue('story-sentiment');
  await expect(page.getByText('60 examples')).toBeVisible();
  await expect(page.getByLabel('Method', { exact: true })).toHaveValue('caa');
  await expect(fitButton(page)).toBeDisabled();
  await expect(page.getByText('This method needs pairs.')).toBeVisible();
  await page.getByLabel('Where they come from').selectOption('tense');
  await expect(page.getByText('50 pairs')).toBeVisible();
  await expect(fitButton(page)).toBeEnabled();
  await expect.poll(() => page.url()).toContain('set=tense');

  await page.getByLabel('Where they come from').selectOption('pasted');
  await textField(page).fill('+ all of them\n+ are wanted');
  await expect(page.getByRole('alert')).toContainText('examples/labels');
  await expect(fitButton(page)).toBeDisabled();
  await page.locator('input[type=file]').setInputFiles({
    name: 'mine.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from('text,label\nA good day,good\nA bad day,bad\n"A broken row,good\n'),
  });
  await expect(page.getByText('2 examples')).toBeVisible();
  await expect(page.getByRole('group', { name: 'Bad rows' })).toContainText('Line 4');
});
