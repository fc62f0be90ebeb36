import { expect, it } from 'vitest';
import { describeFitProgress } from './fit-progress.ts';

it('says the step, how far it is, what was reused and how long it takes', () => {
  const progress = { type: 'progress', stage: 'captures', done: 60, total: 100, unit: 'texts', reused: 20 } as const;
  expect(describeFitProgress(progress, 10)).toEqual({
    text: 'step 2 of 5, reading activations: 60 of 100 texts, 20 of them from an earlier run, about 4 s left',
    share: 0.6,
  });
  expect(describeFitProgress({ ...progress, reused: 0, done: 100 }, null).text).toBe('step 2 of 5, reading activations: 100 of 100 texts');
  expect(describeFitProgress({ ...progress, total: 0 }, null).share).toBeNull();
});
