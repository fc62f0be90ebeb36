import { describe, expect, it } from 'vitest';
import type { JobView } from '../jobs/job.ts';
import { inOrder, progressWords, stateWords } from './job-words.ts';

const view = (state: JobView['state'], received: string): JobView =>
  ({ state, position: null, cancelling: false, attempt: 1, times: { received, started: null, changed: received, ended: null } }) as JobView;

describe('a job in words', () => {
  it('says its place in the queue, and how often it was begun', () => {
    expect(stateWords({ ...view('queued', ''), position: 1 })).toBe('waits, the next');
    expect(stateWords({ ...view('queued', ''), position: 3 })).toBe('waits, place 3');
    expect(stateWords({ ...view('running', ''), attempt: 2 })).toBe('runs, begun 2 times');
    expect(stateWords({ ...view('running', ''), cancelling: true })).toBe('is being cancelled');
    expect(stateWords({ ...view('done', ''), cancelling: true })).toBe('done');
  });

  it('says how far it is and how long it takes', () => {
    const progress = { stage: 'scoring' as const, done: 5, total: 10, unit: 'answers', reused: 0 };
    expect(progressWords(progress, 1)).toEqual({ text: 'scoring: 5 of 10 answers, about 5 s left', share: 0.5 });
    expect(progressWords({ ...progress, stage: 'loading', unit: 'bytes' }, null).text).toBe('loading the model');
    expect(progressWords({ ...progress, stage: 'sweep' }, null).text).toContain('trying strengths: 5 of 10');
  });

  it('puts what runs first and the newest of the ended ones before the older', () => {
    const jobs = [view('done', '1'), view('queued', '4'), view('done', '2'), view('running', '3')].map((one) => ({ view: one }));
    expect(inOrder(jobs).map((job) => job.view.times.received)).toEqual(['3', '4', '2', '1']);
  });
});
