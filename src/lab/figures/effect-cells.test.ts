import { describe, expect, it } from 'vitest';
import { figureColours } from '../colours.ts';
import { effectCells, effectColour, effectReach, inkOn } from './effect-cells.ts';

const places = [
  { layer: 1, head: 0, difference: 3, share: 0.9 },
  { layer: 0, head: 1, difference: 0, share: 0 },
  { layer: 0, head: 0, difference: -2, share: -0.4 },
];

describe('cells of a map of effects', () => {
  it('lie by layer and column, with rank and words', () => {
    const cells = effectCells(places, 2, ({ head }) => head ?? 0);
    expect([...cells.keys()]).toEqual([2, 1, 0]);
    expect(cells.get(2)?.text).toBe('layer 1, head 0: 0.9 of the difference comes back (3 nats), rank 1 of 3');
    expect(cells.get(0)?.text).toContain('−0.4');
  });

  it('are grey at 0, full at the reach and beyond, and the sign is the colour', () => {
    const { light } = figureColours;
    const grey = effectColour(light, 0, 0.5);
    expect(effectColour(light, 0.5, 0.5)).toBe(effectColour(light, 7, 0.5));
    expect(effectColour(light, -0.5, 0.5)).not.toBe(effectColour(light, 0.5, 0.5));
    expect(effectColour(light, 0.1, 0.5)).not.toBe(grey);
    expect(effectColour(light, NaN, 0.5)).toBe(light.untouched);
  });

  it('have numbers that are read on their colour', () => {
    for (const colours of [figureColours.light, figureColours.dark]) {
      expect(inkOn(colours, colours.untouched)).toBe(colours.ink);
      expect(inkOn(colours, colours.towards)).toBe(colours.ground);
      expect(inkOn(colours, colours.away)).toBe(colours.ground);
    }
  });

  it('reach as far as the largest share, and never beyond 1', () => {
    expect(effectReach(places)).toBe(0.9);
    expect(effectReach([{ layer: 0, difference: 0, share: -3 }])).toBe(1);
    expect(effectReach([])).toBe(0.05);
  });
});
