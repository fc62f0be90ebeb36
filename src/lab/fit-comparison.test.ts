import { describe, expect, it } from 'vitest';
import type { FitReport } from '../fit/report.ts';
import { defaultRecipe } from '../fit/recipe.ts';
import { compareFits, describeSide, fitsTable } from './fit-comparison.ts';
import { defaultChoice } from './fit-choice.ts';
import { fittedElsewhere, type FitResult } from './fit-result.ts';
import { sweepPoint } from './figures/test-points.ts';

function fitOf(modelLabel: string, change: Partial<FitReport> = {}, sha256 = 'e1'): FitResult {
  const report: FitReport = {
    recipe: defaultRecipe,
    method: {
      method: 'iti',
      settings: {},
      places: [
        { layer: 2, head: 3, score: 2 },
        { layer: 0, head: 1, score: 1 },
      ],
      scoreName: 'accuracy',
      notes: [],
      numbers: {},
    },
    rows: { train: 3, validation: 1, test: 1 },
    readings: 4,
    effectName: 'projection',
    effectUnit: 'nats',
    sweep: [sweepPoint(0, 2, 0, 0), sweepPoint(0.5, 1, 0.2, 0.05)],
    frontier: [0, 1],
    recommended: 1,
    reason: '',
    cliff: null,
    test: [{ name: 'chosen', ...pick(sweepPoint(0.5, 1, 0.1, 0.04)), repetition: null }],
    promptOnly: null,
    samples: [],
    notes: [],
    receipt: {},
    ...change,
  };
  const graph = { document: { tiller: 1, model: {}, nodes: [] }, vectors: {} } as unknown as FitResult['outcome']['graph'];
  return {
    version: 1,
    choice: defaultChoice,
    outcome: { graph, report, fitted: { graph, ranking: [], chosen: 2 } },
    set: { name: 'set', kind: 'rows', classes: ['no', 'yes'], sha256 } as unknown as FitResult['set'],
    modelLabel,
    identity: modelLabel,
    chance: 0.5,
  };
}
const pick = ({ effect, gain, damage }: ReturnType<typeof sweepPoint>) => ({ effect, gain, damage });

describe('two fits side by side', () => {
  it('tell what each came to, and where', () => {
    const { sides, notes } = compareFits(fitOf('small'), fitOf('big', { recommended: 0 }));
    expect(describeSide(sides[0])).toBe('small: 1 head at ×0.5 gain 0.2 for 0.05 nats a token.');
    expect(describeSide(sides[1])).toBe('big: nothing that was tried is worth its cost.');
    expect(sides.map(({ places }) => places)).toEqual([['2.3'], ['2.3', '0.1']]);
    expect(notes.join(' ')).toContain('Heads of the same number are different heads');
  });

  it('say where examples, recipes or units differ', () => {
    expect(compareFits(fitOf('a'), fitOf('b', {}, 'e2')).notes).toContain('The examples differ.');
    expect(compareFits(fitOf('a'), fitOf('b', { recipe: { ...defaultRecipe, seed: 1 } })).notes).toContain('The recipes differ.');
    expect(compareFits(fitOf('a'), fitOf('b', { effectUnit: 'log-odds' })).notes.join(' ')).toContain('different units');
  });

  it('say of the same weights in two places how far their numbers are apart', () => {
    const [here, there] = [fitOf('small'), { ...fitOf('small on a runner'), identity: 'small' }];
    expect(fittedElsewhere(here, there)).toBe(true);
    expect(fittedElsewhere(here, here)).toBe(false);
    expect(compareFits(here, there).notes).toEqual(['The weights are the same, and so are the gains of all conditions that both tried.']);
    const moved = fitOf('small on a runner', { sweep: [sweepPoint(0, 2, 0, 0), sweepPoint(0.5, 1, 0.19, 0.05)] });
    expect(compareFits(here, { ...moved, identity: 'small' }).notes.join(' ')).toContain('differ by 0.01 nats at most');
    const little = fitOf('small on a runner', { sweep: [sweepPoint(0.5, 1, 0.2000001, 0.05)] });
    expect(compareFits(here, { ...little, identity: 'small' }).notes.join(' ')).toContain('differ by less than 0.001 nats (');
    const other = fitOf('small on a runner', { sweep: [sweepPoint(0.25, 1, 0.19, 0.05)] });
    expect(compareFits(here, { ...other, identity: 'small' }).notes).toEqual(['The weights are the same.']);
  });

  it('become a table with every condition of both', () => {
    const { rows } = fitsTable(compareFits(fitOf('a'), fitOf('b')));
    expect(rows).toHaveLength(6);
    expect(rows.filter(({ recommended }) => recommended === true).map(({ model, places }) => [model, places])).toEqual([
      ['a', '2.3'],
      ['b', '2.3'],
    ]);
  });
});
