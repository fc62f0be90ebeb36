import { expect, it } from 'vitest';
import { rovingIndex } from './roving.ts';

it('moves within the row and no further', () => {
  expect(rovingIndex('ArrowRight', 0, 3)).toBe(1);
  expect(rovingIndex('ArrowRight', 2, 3)).toBe(2);
  expect(rovingIndex('ArrowUp', 0, 3)).toBe(0);
  expect(rovingIndex('End', 0, 3)).toBe(2);
  expect(rovingIndex('Home', 2, 3)).toBe(0);
  expect(rovingIndex('a', 0, 3)).toBeNull();
  expect(rovingIndex('ArrowRight', 0, 0)).toBeNull();
});
