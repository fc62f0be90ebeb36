import { describe, expect, it } from 'vitest';
import { isRange, scopeOf, scopes, selected } from './token-scope.ts';

const tokens = Array.from({ length: 6 }, (_, id) => ({ id, role: null }));
const marks = (selector: Parameters<typeof selected>[0]): string =>
  selected(selector, tokens, 4)
    .map((mark) => (mark ? 'x' : '.'))
    .join('');

describe('steered tokens as drawn', () => {
  it.each([
    ['generated', '...xxx'],
    ['answer', '....xx'],
    ['prompt', 'xxxx..'],
    ['last', '...x..'],
    ['all', 'xxxxxx'],
    [{ from: 1, to: 3 }, '.xx...'],
    [{ from: -2 }, '..xxxx'],
    [{ at: [0, 5] }, 'x....x'],
    [{ not: 'prompt' }, '....xx'],
  ] as const)('%j is %s', (selector, expected) => {
    expect(marks(selector)).toBe(expected);
  });

  it('names every choice, and none for what only a file can say', () => {
    for (const { key } of scopes) expect(scopeOf(key === 'range' ? { from: 0, to: 2 } : key)).toBe(key);
    expect(scopeOf({ ids: [1] })).toBeNull();
    expect(isRange({ at: [1] })).toBe(false);
  });
});
