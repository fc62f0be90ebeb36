import { afterAll, describe, expect, it } from 'vitest';
import { defaultRecipe } from '../src/fit/recipe.ts';
import { Scratch } from '../test/cli.ts';
import { parseOptions } from './options.ts';
import { readRecipe, recipeOptions } from './recipe-options.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

const recipe = (...argv: string[]): ReturnType<typeof readRecipe> => readRecipe('iti', parseOptions('fit', argv, recipeOptions));

describe('the recipe of the command line', () => {
  it('is the default recipe where nothing is said', async () => {
    expect(await recipe()).toEqual(defaultRecipe);
  });

  it('takes every option', async () => {
    const neutral = scratch.write('neutral.txt', 'One text.\n\n{"text": "Another."}\n');
    const given = await recipe(
      ...[
        '--set',
        'alpha=20',
        '--set',
        'direction=probe',
        '--set',
        'shuffle=true',
        '--template',
        'chat',
        '--token',
        '-2',
        '--split',
        'half-1',
      ],
      ...['--seed', '7', '--limit', '100', '--strengths', '-1,0.5,2', '--counts', '4,8', '--effect', 'mc', '--neutral', neutral],
      ...['--kl-budget', '0.5', '--no-controls'],
    );
    expect(given).toEqual({
      method: 'iti',
      settings: { alpha: 20, direction: 'probe', shuffle: true },
      template: 'chat',
      token: { offset: -2 },
      split: { kind: 'halves', testHalf: 1 },
      seed: 7,
      behaviour: [],
      limit: 100,
      sweep: {
        strengths: [-1, 0.5, 2],
        counts: [4, 8],
        effect: 'mc',
        neutral: { texts: ['One text.', 'Another.'] },
        klBudget: 0.5,
        controls: false,
      },
    });
  });

  it.each([
    [['--set', 'alpha'], 'NAME=VALUE'],
    [['--set', 'a=1', '--set', 'a=2'], 'twice'],
    [['--token', '3'], 'negative'],
    [['--split', 'half-0', '--test', '0.3'], 'mean nothing'],
    [['--validation', '0.6', '--test', '0.6'], 'less than a tenth'],
    [['--no-sweep', '--strengths', '1'], '--no-sweep'],
    [['--strengths', '1,x'], 'numbers'],
    [['--counts', '0.5'], 'whole numbers'],
    [['--counts', '4,4'], 'twice'],
    [['--neutral', '/nowhere'], 'nowhere'],
  ])('refuses %j', async (argv, text) => {
    await expect(recipe(...argv)).rejects.toThrow(text);
  });
});
