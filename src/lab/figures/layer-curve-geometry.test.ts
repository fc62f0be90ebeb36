import { expect, it } from 'vitest';
import { layerCurveGeometry } from './layer-curve-geometry.ts';

it('puts layers side by side, accuracies between 0 and 1, with their intervals', () => {
  const places = [{ layer: 0, score: 1, accuracy: 0.5, interval: [0.25, 0.75] as const }, { layer: 1, score: 2, accuracy: 1, interval: [0.8, 1] as const }]; // prettier-ignore
  const { box, marks, path } = layerCurveGeometry(places, 2, 266, 256);
  expect(marks[0]).toEqual({ px: 102, py: (box.top + box.bottom) / 2, interval: [164, 64] });
  expect(marks[1].py).toBe(box.top);
  expect(path).toBe('M102,114L202,14');
  expect(layerCurveGeometry([{ layer: 0, score: 3 }], 1, 300, 300).marks[0].interval).toBeNull();
});
