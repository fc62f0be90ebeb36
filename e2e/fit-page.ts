import { expect, type Page } from '@playwright/test';

/** What the specs do with the Fit page again and again. Small sizes: the software GPU and the reference engine are slow. */

const happy = [
  'Lily smiled and hugged her new puppy.',
  'Tom laughed when the kite went up high.',
  'They shared the sweet cake and were glad.',
  'The bird sang and the children danced.',
  'Mum gave Ben a big warm hug.',
  'The sun came out and they played all day.',
  'Anna won the game and jumped with joy.',
  'The dog was safe and everyone cheered.',
  'Sam found his lost toy and was so happy.',
  'They had a fun party in the garden.',
  'The kind man helped the little cat.',
  'Mia loved the pretty flowers in the park.',
];
const sad = [
  'Lily cried because her doll was broken.',
  'Tom fell down and hurt his knee.',
  'The cake was gone and they were upset.',
  'The bird was hurt and could not fly.',
  'Ben was all alone in the dark.',
  'The rain came and they had to stop playing.',
  'Anna lost the game and felt bad.',
  'The dog ran away and nobody found it.',
  'Sam dropped his toy and began to weep.',
  'No one came to the party in the garden.',
  'The mean man shouted at the little cat.',
  'Mia was sick and could not go to the park.',
];

/** Twenty-four examples, and one line that is none. */
export const examples = [...happy.map((text) => `+ ${text}`), ...sad.map((text) => `- ${text}`), 'neither good nor bad'].join('\n');

export const textField = (page: Page) => page.getByLabel('Examples, one a line');
export const fitButton = (page: Page) => page.getByRole('button', { name: 'Fit', exact: true });
export const sendButton = (page: Page) => page.getByRole('button', { name: 'Send to Steer' });

/** Pastes the examples and asks for a sweep of two conditions, with costs on two short texts. */
export async function smallFit(page: Page): Promise<void> {
  await textField(page).fill(examples);
  await expect(page.getByText('24 examples')).toBeVisible();
  await page.getByText('What is tried:').click();
  await page.getByLabel('Strengths, as multiples').fill('0.25, 0.5');
  await page.getByLabel('Numbers of places').fill('1');
  await page.getByLabel('What it costs is measured on').selectOption('own');
  await page.getByLabel('Neutral texts, one a line').fill('The cat sat on the mat.\nHe went to the shop.');
  await page.getByLabel('Neutral texts, one a line').press('Tab');
}

export const done = (page: Page): Promise<void> => expect(sendButton(page)).toBeVisible({ timeout: 300_000 });

/** Notes every step that the fit's progress names from now on, however shortly. */
export async function stepsShown(page: Page): Promise<() => Promise<string[]>> {
  const seen = await page.evaluateHandle(() => {
    const steps = new Set<string>();
    const look = (): void => {
      const name = document.querySelector('main [role=progressbar]')?.getAttribute('aria-label');
      const step = /step \d of \d/.exec(name ?? '');
      if (step) steps.add(step[0]);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
    return steps;
  });
  return () => seen.evaluate((steps) => [...steps]);
}
