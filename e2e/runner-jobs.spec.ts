import { expect, test } from '@playwright/test';
import { done, examples, fitButton, smallFit } from './fit-page.ts';
import { broken, finished, ready, tabTo, tokens, watch, withSettings } from './lab.ts';
import { onRunner, runnerCard } from './runner-page.ts';
import { startRunner, token, type RunnerProcess } from './runner-process.ts';

let runner: RunnerProcess;
test.beforeAll(async ({ baseURL }) => {
  runner = await startRunner(new URL(baseURL ?? '').origin);
});
test.afterAll(() => runner.end());

test('by keyboard: a runner is added, its model writes, a job is begun and cancelled; the job of another browser waits its turn', async ({
  page,
  browser,
  baseURL,
}) => {
  watch(page);
  await withSettings(page, { engine: 'onnx', autoload: false });
  const press = (key: string): Promise<void> => page.keyboard.press(key);
  const type = (text: string): Promise<void> => page.keyboard.insertText(text);
  const open = async (name: string): Promise<void> => {
    await tabTo(page, `nav a[href="#/${name}"]`);
    await press('Enter');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(new RegExp(name, 'i'));
  };

  await test.step('a runner is added, and one of its models is loaded', async () => {
    await page.goto('./#/models');
    await tabTo(page, 'form[aria-label="Add a runner"] input[type=text]');
    await type(runner.address);
    await press('Tab');
    await type(token);
    await press('Enter');
    await expect(runnerCard(page)).toContainText('llama, 6 layers of 6 heads of 48');
    await tabTo(page, 'button[aria-label^="Load stories15M on 127"]');
    await press('Enter');
    await ready(page);
    await expect(page.locator('.status')).toContainText('of the runner');
  });

  await test.step('it writes a steered text', async () => {
    await open('steer');
    await tabTo(page, 'textarea.prompt');
    await press('Control+a');
    await type('Lily saw a dog.');
    await press('Control+Enter');
    await finished(page);
    expect((await tokens(page, 1)).length).toBeGreaterThan(1);
    await expect(page.locator('article').nth(1)).toContainText('edits');
  });

  await test.step('a job is begun that is far too long to end before it is cancelled', async () => {
    await open('fit');
    await tabTo(page, '#examples');
    await type(examples);
    await expect(page.getByText('24 examples')).toBeVisible();
    await tabTo(page, 'details[data-part=sweep] > summary');
    await press('Enter');
    await tabTo(page, '[data-field=strengths]');
    await type(Array.from({ length: 1000 }, (_, index) => (index + 1) / 1000).join(', '));
    await tabTo(page, '[data-field=counts]');
    await type(Array.from({ length: 36 }, (_, index) => index + 1).join(', '));
    await tabTo(page, 'button.primary');
    await expect(fitButton(page)).toBeFocused();
    await press('Enter');
    await expect(page.getByText('A job of the runner:')).toBeVisible();
  });

  const other = await browser.newPage({ baseURL });
  await test.step('the job of another browser waits, over a reload too', async () => {
    await onRunner(other, runner, 'model');
    await other.goto('./#/fit');
    await smallFit(other);
    await fitButton(other).click();
    await expect(other.getByText('A job of the runner: on the runner: waits, the next')).toBeVisible();
    await other.reload();
    await expect(other.getByText('A job of the runner: on the runner: waits, the next')).toBeVisible();
  });

  await test.step('both are on the list; one’s own is cancelled and taken off it', async () => {
    await open('jobs');
    const [mine, theirs] = [page.getByRole('article').nth(0), page.getByRole('article').nth(1)];
    await expect(mine.getByRole('heading')).toHaveText('Fit (iti, the pasted text)');
    await expect(mine.getByRole('status')).toHaveText('runs');
    await expect(mine.getByRole('progressbar')).toHaveAccessibleName(/^step \d of 5, /);
    await expect(theirs.getByRole('heading')).toHaveText('Fit');
    await expect(theirs.getByRole('status')).toHaveText('waits, the next');
    expect(await broken(page)).toEqual([]);
    await tabTo(page, 'li:first-child button:not(.quiet)');
    await expect(mine.getByRole('button', { name: 'Cancel' })).toBeFocused();
    await press('Enter');
    const cancelled = page.getByRole('article').filter({ hasText: 'Fit (iti, the pasted text)' });
    await expect(cancelled.getByRole('status')).toHaveText('cancelled');
    await cancelled.getByRole('button', { name: 'Take off the list' }).press('Enter');
    await expect(cancelled).toHaveCount(0);
    await open('fit');
    await expect(page.getByText('Cancelled. What was done is kept: Fit goes on from there.')).toBeVisible();
  });

  await test.step('begun again it is back on the list, and stays there when it ends', async () => {
    await fitButton(page).press('Enter');
    await expect(page.getByText('A job of the runner:')).toBeVisible();
    await open('jobs');
    const again = page.getByRole('article').filter({ hasText: 'Fit (iti, the pasted text)' });
    await again.getByRole('button', { name: 'Cancel' }).press('Enter');
    await expect(again.getByRole('status')).toHaveText(/^cancelled/);
  });

  await test.step('the other one has its turn, and its result goes to Steer', async () => {
    await done(other);
    await other.goto('./#/jobs');
    const ended = other.getByRole('article').filter({ hasText: 'Fit (iti, the pasted text)' });
    await expect(ended.getByRole('status')).toHaveText('done');
    expect(await broken(other)).toEqual([]);
    await ended.getByRole('button', { name: 'Send to Steer' }).click();
    await expect(other.getByRole('heading', { level: 1 })).toHaveText('Steer');
    await other.close();
  });
});

test('a job that its runner does not keep any more is said to be gone, and can be taken off the list', async ({ page }) => {
  await page.addInitScript(
    ([address, id]) => {
      if (localStorage.getItem('tiller.jobs') === null)
        localStorage.setItem('tiller.jobs', JSON.stringify([{ id, address, title: 'an old fit' }]));
    },
    [runner.address, 'f'.repeat(64)] as const,
  );
  await onRunner(page, runner, 'model');
  await page.goto('./#/jobs');
  const row = page.getByRole('article').filter({ hasText: 'an old fit' });
  await expect(row.getByRole('status')).toHaveText('no longer kept');
  await row.getByRole('button', { name: 'Take off the list' }).click();
  await expect(row).toHaveCount(0);
  await page.reload();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Jobs');
  await expect(row).toHaveCount(0);
});
