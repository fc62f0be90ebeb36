import { expect, it } from 'vitest';
import { rocGeometry } from './roc-geometry.ts';

it('draws the curve from corner to corner, and nothing for no curve', () => {
  const { box, curve, area } = rocGeometry([{ falsePositive: 0, truePositive: 0 }, { falsePositive: 0, truePositive: 1 }, { falsePositive: 1, truePositive: 1 }], 266, 256); // prettier-ignore
  expect(box).toMatchObject({ left: 52, right: 252, top: 14, bottom: 214 });
  expect(curve).toBe('M52,214L52,14L252,14');
  expect(area).toBe('M52,214L52,14L252,14L252 214L52 214Z');
  expect(rocGeometry([], 300, 300).area).toBe('');
});
