import { describe, expect, it } from 'vitest';
import { defaultRecipe, type Recipe } from '../fit/recipe.ts';
import { opening, recipeFor } from './fit-effort.ts';

const sweep = { ...defaultRecipe.sweep!, strengths: [], counts: [] };
const recipe: Recipe = { ...defaultRecipe, sweep };
const model = { layers: 6, heads: 6, adapter: { kind: 'cpu', name: 'test', features: [] } } as const;
const gpu = { ...model, adapter: { ...model.adapter, kind: 'hardware' } } as const;

describe('how much a sweep tries', () => {
  it('is little on a processor and the default of every recipe on a GPU', () => {
    const little = recipeFor(recipe, 'auto', model).sweep!;
    expect(little.strengths).toEqual([0.125, 0.25, 0.5, 1]);
    expect(little.counts).toEqual([2, 4]);
    expect(typeof little.neutral === 'object' && little.neutral.texts.length).toBe(4);
    expect(recipeFor(recipe, 'auto', gpu)).toEqual(defaultRecipe);
    expect(recipeFor(recipe, 'full', model)).toEqual(defaultRecipe);
  });

  it('takes whole sentences of a text', () => {
    expect(opening('One. Two!')).toBe('One. Two!');
    expect(opening('no end')).toBe('no end');
    expect(opening(`${'A'.repeat(200)}. ${'B'.repeat(100)}. C.`)).toBe(`${'A'.repeat(200)}.`);
  });

  it('leaves alone what a person named', () => {
    const named = { ...recipe, sweep: { ...sweep, strengths: [3], counts: [1], neutral: { texts: ['One text.'] }, samples: 5 } };
    expect(recipeFor(named, 'quick', gpu)).toEqual(named);
    expect(recipeFor({ ...recipe, sweep: null }, 'quick', model).sweep).toBeNull();
  });

  it('tries no more heads than there are or the graph holds', () => {
    expect(recipeFor(recipe, 'quick', { ...model, layers: 1, heads: 1 }).sweep?.counts).toEqual([1]);
    expect(recipeFor({ ...recipe, settings: { heads: 6, hold: 8 } }, 'quick', model).sweep?.counts).toEqual([6]);
    expect(recipeFor({ ...recipe, method: 'caa' }, 'quick', model).sweep?.counts).toEqual([]);
  });
});
