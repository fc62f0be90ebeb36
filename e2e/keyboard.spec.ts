import { expect, test } from '@playwright/test';
import { cell, finished, maxTokens, ready, tabTo, tokens, watch, withSettings } from './lab.ts';

test('everything on the Steer page can be done with the keyboard', async ({ page }) => {
  watch(page);
  await withSettings(page, { engine: 'onnx', autoload: true });
  await page.goto('./');
  await ready(page);
  await maxTokens(page, 5);
  const press = (key: string): Promise<void> => page.keyboard.press(key);

  await test.step('write a prompt and generate', async () => {
    await page.locator('body').press('Tab');
    await tabTo(page, 'textarea.prompt');
    await press('Control+a');
    await page.keyboard.type('A cat sat on a mat.');
    await press('Control+Enter');
    await finished(page);
    expect((await tokens(page, 0)).length).toBe(5);
  });

  await test.step('look at single words', async () => {
    await tabTo(page, '[role=listbox]');
    await press('ArrowRight');
    await press('ArrowRight');
    await expect(page.getByText(/^Token 3,/)).toBeVisible();
  });

  await test.step('change strength', async () => {
    await tabTo(page, '#strength');
    await press('ArrowRight');
    await expect(page.getByLabel('Strength, as a number')).toHaveValue('1.05');
    await press(']');
    await expect(page.getByLabel('Strength, as a number')).toHaveValue('1.3');
  });

  await test.step('pick heads, a range, a row, a column', async () => {
    await tabTo(page, '[data-cell]');
    await press('Home');
    const untouched = page.locator('[data-row][aria-selected="true"]');
    const before = await untouched.count();
    await press(' ');
    await expect(cell(page, 0, 0)).toHaveAttribute('aria-selected', 'true');
    await press('Shift+ArrowRight');
    await press('Shift+ArrowRight');
    await expect(untouched).toHaveCount(before + 3);
    await press('+');
    await expect(cell(page, 0, 2)).toHaveAccessibleName(/steered ×1.25/);
    await press('ArrowUp');
    await press(' ');
    for (const layer of [0, 1, 2, 3, 4, 5]) await expect(cell(page, layer, 2)).toHaveAttribute('aria-selected', 'true');
    await press('Control+z');
    await press('Control+z');
    await press('Control+z');
    await press('Control+z');
    await press('Control+z');
    await expect(untouched).toHaveCount(before);
  });

  await test.step('get help and leave it', async () => {
    await press('?');
    await expect(page.getByRole('dialog')).toBeVisible();
    await press('Escape');
    await expect(page.getByRole('dialog')).toHaveCount(0);
  });
});
