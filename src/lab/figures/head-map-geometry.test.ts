import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { headAt, headMapGeometry } from './head-map-geometry.ts';

const shapes = fc.tuple(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 64 }), fc.integer({ min: 300, max: 900 }));

describe('head map geometry', () => {
  it('finds every head at its own middle, whatever the shape', () => {
    fc.assert(
      fc.property(shapes, ([layers, heads, width]) => {
        const geometry = headMapGeometry(layers, heads, width);
        for (const [layer, head] of [
          [0, 0],
          [layers - 1, heads - 1],
          [Math.floor(layers / 2), Math.floor(heads / 2)],
        ]) {
          const px = (geometry.x(head) ?? NaN) + geometry.x.bandwidth() / 2;
          const py = (geometry.y(layer) ?? NaN) + geometry.y.bandwidth() / 2;
          expect(headAt(geometry, layers, heads, px, py)).toEqual({ layer, head });
        }
      }),
    );
  });

  it('clamps points outside to the nearest head', () => {
    const geometry = headMapGeometry(6, 6, 400);
    expect(headAt(geometry, 6, 6, -50, 1e4)).toEqual({ layer: 5, head: 0 });
    expect(headAt(geometry, 6, 6, 1e4, -50)).toEqual({ layer: 0, head: 5 });
  });

  it('fits the width it is given', () => {
    fc.assert(
      fc.property(shapes, ([layers, heads, width]) => {
        expect(headMapGeometry(layers, heads, width).width).toBeLessThanOrEqual(Math.max(width, 38 + 6 * heads) + 1e-6);
      }),
    );
  });
});
