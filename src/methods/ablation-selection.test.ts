import { describe, expect, it } from 'vitest';
import { behaviourScore, selectAblation, type AblationCandidate } from './ablation-selection.ts';

const good: AblationCandidate = { layer: 5, ablated: -4, induced: 1, kl: 0.05 };

describe('selection of an ablated direction', () => {
  it('takes the lowest score of those that break no rule, the first of equals', () => {
    const candidates = [
      good,
      { ...good, layer: 6, ablated: -6 },
      { ...good, layer: 7, ablated: -6 },
      { ...good, layer: 8, ablated: -9, kl: 0.2 },
    ];
    expect(selectAblation(candidates, 16)).toEqual({
      chosen: 1,
      dropped: [null, null, null, expect.stringContaining('KL 0.200') as string],
    });
  });

  it('applies each published rule at its bound', () => {
    const one = (change: Partial<AblationCandidate>): string | null => selectAblation([{ ...good, ...change }], 10).dropped[0];
    expect(one({ layer: 7 })).toBeNull();
    expect(one({ layer: 8 })).toContain('80 %');
    expect(one({ kl: 0.1 })).toBeNull();
    expect(one({ kl: 0.1001 })).toContain('KL');
    expect(one({ induced: 0 })).toBeNull();
    expect(one({ induced: -0.001 })).toContain('bring the behaviour about');
    expect(one({ kl: NaN })).toContain('finite');
  });

  it('chooses nothing where nothing is left', () => {
    expect(selectAblation([{ ...good, induced: -1 }], 10).chosen).toBeNull();
    expect(selectAblation([], 10)).toEqual({ chosen: null, dropped: [] });
  });

  it('scores a probability by its log-odds, bounded', () => {
    expect(behaviourScore(0.5)).toBe(0);
    expect(behaviourScore(0.9)).toBeCloseTo(Math.log(9), 6);
    expect(behaviourScore(0)).toBeCloseTo(Math.log(1e-8), 6);
    expect(behaviourScore(1)).toBeCloseTo(-Math.log(1e-8), 6);
  });
});
