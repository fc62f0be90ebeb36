import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PlaceScore } from '../../methods/method.ts';
import { bestByLayer, placeCells } from './place-cells.ts';

describe('cells of a head map of a fit', () => {
  it('colours accuracy from chance to 1, and says where chance is inside of the interval', () => {
    const places: PlaceScore[] = [
      { layer: 1, head: 0, score: 0.9, accuracy: 0.9, interval: [0.7, 0.97] },
      { layer: 0, head: 1, score: 0.6, accuracy: 0.6, interval: [0.4, 0.8] },
      { layer: 0, head: 0, score: 0.3, accuracy: 0.3, interval: [0.1, 0.6] },
    ];
    const cells = placeCells(places, 2, 1, 0.6);
    expect(cells.get(2)).toMatchObject({ rank: 1, chosen: true, doubtful: false });
    expect(cells.get(2)?.share).toBeCloseTo(0.75);
    expect(cells.get(1)).toMatchObject({ rank: 2, chosen: false, share: 0, doubtful: true });
    expect(cells.get(0)?.share).toBe(0);
  });

  it('colours scores where nothing was classified', () => {
    const cells = placeCells([{ layer: 0, head: 0, score: 4 }, { layer: 0, head: 1, score: 1 }], 2, 1, 0.5); // prettier-ignore
    expect(cells.get(0)?.share).toBe(1);
    expect(cells.get(1)?.share).toBe(0.25);
  });

  it('never leaves 0 to 1', () => {
    const place = fc.record({
      layer: fc.nat(3),
      head: fc.nat(3),
      score: fc.double(),
      accuracy: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(place), fc.double({ min: 0, max: 1, noNaN: true }), (places, chance) => {
        for (const { share } of placeCells(places, 4, 2, chance).values()) expect(share >= 0 && share <= 1).toBe(true);
      }),
    );
  });

  it('finds the best place of a layer', () => {
    const places = [{ layer: 1, element: 3, score: 2 }, { layer: 0, element: 9, score: 1 }, { layer: 1, element: 4, score: 1 }]; // prettier-ignore
    expect(bestByLayer(places).map(({ score }) => score)).toEqual([1, 2]);
  });
});
