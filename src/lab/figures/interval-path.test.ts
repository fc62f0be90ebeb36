import { expect, it } from 'vitest';
import { intervalPath } from './interval-path.ts';

it('draws error bars upright and lying, with caps', () => {
  expect(intervalPath(10, 30, 5, true, 3)).toBe('M2 10h6M5 10V30M2 30h6');
  expect(intervalPath(10, 30, 5, false, 2)).toBe('M10 3v4M10 5H30M30 3v4');
});
