import { createRequire } from 'node:module';
import { expect, type Page } from '@playwright/test';
import type { AxeResults } from 'axe-core';
import type { EngineChoice } from '../src/lab/engine-choice.ts';

/** What the specs do with the page again and again. */

interface Settings {
  theme?: 'auto' | 'light' | 'dark';
  engine?: EngineChoice;
  autoload?: boolean;
  hub?: string;
}

/** Settings that the page finds when it opens for the first time; what a test changes afterwards stays changed over reloads. */
export async function withSettings(page: Page, settings: Settings): Promise<void> {
  await page.addInitScript((stored) => {
    if (localStorage.getItem('tiller.settings') === null) localStorage.setItem('tiller.settings', stored);
  }, JSON.stringify(settings));
}

/** A page that fails the test when something throws in it. */
export function watch(page: Page): void {
  page.on('pageerror', (error) => {
    throw error;
  });
}

/** Presses Tab until what has the focus is this. */
export async function tabTo(page: Page, selector: string): Promise<void> {
  for (let i = 0; i < 120; i += 1) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab never comes to ${selector}`);
}

export const ready = (page: Page): Promise<void> => expect(page.locator('.dot.ready')).toBeVisible({ timeout: 150_000 });

export async function maxTokens(page: Page, count: number): Promise<void> {
  const field = page.getByLabel('At most, tokens');
  if (!(await field.isVisible())) await page.getByText('Sampling:').click();
  await field.fill(String(count));
  await field.press('Tab');
}

/** Lets begin what the page begins some milliseconds after a change: timers fire in the order in which they are due. */
export const rested = (page: Page, ms = 300): Promise<void> =>
  page.evaluate((rest) => new Promise<void>((resolve) => setTimeout(resolve, rest)), ms);

/**
 * Presses Generate and waits until the first text has more new tokens than this. It looks at every frame, because what the test does next
 * has to come before a fast engine is done.
 */
export async function generateSome(page: Page, tokens: number): Promise<void> {
  const text = page.locator('article').first().getByRole('option');
  await text.evaluateAll((nodes) => nodes.forEach((node) => node.setAttribute('data-old', '')));
  await page.getByRole('button', { name: 'Generate' }).click();
  // Of the text before, no node stays but the first.
  const isThere = (place: number): boolean =>
    document.querySelector('article')?.querySelectorAll('[role=option]').item(place)?.hasAttribute('data-old') === false;
  await page.waitForFunction(isThere, tokens, { timeout: 60_000 });
}

/**
 * Presses a button in the frame in which something is first there, for work that a fast engine ends before a test has looked. To be called
 * before the work begins.
 */
export const pressOnceThere = (page: Page, there: string, name: string): Promise<void> =>
  page.evaluate(
    ([wanted, text]) => {
      const look = (): void => {
        const button = [...document.querySelectorAll('button')].find(({ textContent }) => textContent === text);
        if (button && document.querySelector(wanted)) button.click();
        else requestAnimationFrame(look);
      };
      look();
    },
    [there, name],
  );

/** Waits until a run that has just been asked for is written: texts that are not recorded, nothing under way. */
export async function written(page: Page): Promise<void> {
  await rested(page, 0);
  await expect(page.getByText('recorded', { exact: true })).toHaveCount(0);
  await expect(page.getByRole('button', { name: 'Generate' })).toBeVisible({ timeout: 120_000 });
}

/** The same, and every word measured. */
export async function finished(page: Page): Promise<void> {
  await written(page);
  await expect(page.getByText('measuring how far each word moved')).toHaveCount(0, { timeout: 120_000 });
}

export const tokens = (page: Page, lane: number): Promise<string[]> =>
  page.locator('article').nth(lane).getByRole('option').allTextContents();

export const cell = (page: Page, layer: number, head: number) => page.locator(`[data-cell="${layer},${head}"]`);

const comlink = createRequire(import.meta.url).resolve('comlink/dist/umd/comlink.js');

/** Opens the page, with Comlink in it, and gives the address of its worker. */
export async function workerOf(page: Page): Promise<string> {
  watch(page);
  await withSettings(page, { autoload: false });
  const started = page.waitForEvent('worker');
  await page.goto('./');
  const worker = (await started).url();
  await page.addScriptTag({ path: comlink });
  return worker;
}

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Rules of axe that the page breaks, with where. */
export async function broken(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: axePath });
  const results = await page.evaluate(() => (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run());
  return results.violations.map((row) => `${row.id} (${row.nodes.map((node) => node.target.join(' ')).join(', ')})`);
}
