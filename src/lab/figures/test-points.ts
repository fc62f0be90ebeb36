import type { Estimate } from '../../evals/condition.ts';
import type { SweepPoint } from '../../fit/report.ts';

/** Points of a sweep for tests of figures. */
const estimate = (value: number): Estimate => ({ value, interval: [value - 0.1, value + 0.1], units: 20 });

export const sweepPoint = (strength: number, count: number, gain: number, kl: number): SweepPoint => ({
  strength,
  count,
  edits: strength === 0 ? 0 : count * 20,
  effect: estimate(1 + gain),
  gain: estimate(gain),
  damage: { crossEntropy: estimate(2 + kl), kl: { ...estimate(kl), interval: [kl * 0.8, kl * 1.2] }, crossEntropyRise: estimate(kl) },
});
