import { expect, type Page } from '@playwright/test';
import { ready, watch, withSettings } from './lab.ts';
import { token, type RunnerProcess } from './runner-process.ts';

/** What the specs do with runners on the Models page again and again. */

type Address = Pick<RunnerProcess, 'address'>;

export async function addRunner(page: Page, { address }: Address, given: string): Promise<void> {
  await page.getByLabel('Address', { exact: true }).fill(address);
  await page.getByLabel('Token', { exact: true }).fill(given);
  await page.getByLabel('Token', { exact: true }).press('Enter');
}

export const loadButton = (page: Page, name: string) => page.getByRole('button', { name: `Load ${name} on ` });
export const runnerCard = (page: Page) => page.getByRole('article', { name: /^Runner 127/ });

/** The page with the runner in it, its token remembered, and one of its models loaded. */
export async function onRunner(page: Page, runner: Address, model: string): Promise<void> {
  watch(page);
  await withSettings(page, { engine: 'onnx', autoload: false });
  await page.goto('./#/models');
  await page.getByLabel('Remember the token in this browser').check();
  await addRunner(page, runner, token);
  await expect(runnerCard(page)).toContainText('llama, 6 layers');
  await loadButton(page, model).click();
  await ready(page);
}
