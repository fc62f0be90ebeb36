import { describe, expect, it } from 'vitest';
import { firstDifference } from './divergence.ts';

describe('firstDifference', () => {
  it.each([
    [[1, 2, 3], [1, 2, 4], 2],
    [[1], [2], 0],
    [[1, 2], [1, 2, 3], null],
    [[1, 2], [1, 2], null],
    [[], [1], null],
  ])('%j against %j is %j', (a, b, expected) => {
    expect(firstDifference(a, b)).toBe(expected);
    expect(firstDifference(b, a)).toBe(expected);
  });
});
