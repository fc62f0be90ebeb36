import { describe, expect, it } from 'vitest';
import { builtInScorers, compileScorer, type TextScorer } from './text-scorer.ts';

const refused = (scorer: TextScorer): void => {
  expect(() => compileScorer(scorer)).toThrowError(expect.objectContaining({ code: 'eval/scorer' }) as Error);
};

describe('text scorers', () => {
  it('count matches a hundred words', () => {
    const score = compileScorer({ kind: 'pattern', pattern: '\\bhappy\\b', ignoreCase: true });
    expect(score('Happy dogs are happy.')).toBe(50);
    expect(score('unhappy')).toBe(0);
    expect(score('')).toBe(0);
  });

  it('weigh words', () => {
    const score = compileScorer({ kind: 'words', weights: { Good: 1, bad: -2 } });
    expect(score('Good, good, bad dog')).toBe(0);
    expect(score('good day')).toBe(50);
  });

  it('are data that is checked', () => {
    refused({ kind: 'pattern', pattern: '(' });
    refused({ kind: 'pattern', pattern: '' });
    refused({ kind: 'pattern', pattern: 'a'.repeat(1001) });
    refused({ kind: 'words', weights: {} });
    refused({ kind: 'words', weights: { a: NaN } });
    refused({ kind: 'built-in', name: 'toString' as never });
  });

  it('built in are finite on any text', () => {
    for (const name of Object.keys(builtInScorers) as (keyof typeof builtInScorers)[]) {
      for (const text of ['', '...', 'One. Two words! Really?', '中文']) {
        expect(Number.isFinite(compileScorer({ kind: 'built-in', name })(text))).toBe(true);
      }
    }
    expect(compileScorer({ kind: 'built-in', name: 'sentence-length' })('One two. Three four.')).toBe(2);
    expect(compileScorer({ kind: 'built-in', name: 'upper-case' })('Ab')).toBe(0.5);
  });
});
