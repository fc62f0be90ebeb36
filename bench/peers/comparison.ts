import { show, type Row } from '../measurement.ts';
import { interleave, ratios, spread, type Spread, type Timing } from '../spread.ts';

/** One way of doing some work; the numbers it gives are compared with those of the other ways. */
export interface Arm {
  readonly name: string;
  /** What the work is counted in: answers, texts, tokens. */
  readonly units: number;
  readonly run: () => Promise<Timing>;
}

/** Time of one arm against another's, round by round, each per unit; above 1 the first one is faster. */
export interface Versus {
  readonly name: string;
  readonly against: string;
  readonly wall: Spread;
  readonly cpu: Spread;
}

export interface Comparison {
  /** Milliseconds a unit. */
  readonly arms: readonly { readonly name: string; readonly wall: Spread; readonly cpu: Spread }[];
  readonly versus: readonly Versus[];
}

/** Runs arms side by side and compares the pairs given; pairs of which an arm is not there are left out. */
export async function compare(
  arms: readonly Arm[],
  pairs: readonly (readonly [name: string, against: string])[],
  rounds: number,
): Promise<Comparison> {
  const samples = await interleave(Object.fromEntries(arms.map(({ name, run }) => [name, run])), rounds);
  const units = new Map(arms.map((arm) => [arm.name, arm.units]));
  const per = (name: string, key: keyof Timing): number[] => samples[name].map((sample) => sample[key] / (units.get(name) ?? 1));
  const present = pairs.filter(([name, against]) => units.has(name) && units.has(against));
  return {
    arms: arms.map(({ name }) => ({ name, wall: spread(per(name, 'wall')), cpu: spread(per(name, 'cpu')) })),
    versus: present.map(([name, against]) => ({
      name,
      against,
      wall: ratios(per(against, 'wall'), per(name, 'wall')),
      cpu: ratios(per(against, 'cpu'), per(name, 'cpu')),
    })),
  };
}

/** Rows `what, against, ms a unit, times as fast, the same in processor time`. */
export function comparisonRows({ arms, versus }: Comparison): Row[] {
  const time = (name: string): string => {
    const arm = arms.find((one) => one.name === name);
    return arm ? show(arm.wall) : '';
  };
  return versus.map(({ name, against, wall, cpu }) => [
    `${name}: ${time(name)}`,
    `${against}: ${time(against)}`,
    show(wall, 2),
    show(cpu, 2),
  ]);
}

/** Largest difference between two lists of numbers; NaN counts as infinite. */
export function largestDifference(a: readonly number[], b: readonly number[]): number {
  return a.reduce((most, value, i) => {
    const difference = Math.abs(value - b[i]);
    return Number.isNaN(difference) ? Infinity : Math.max(most, difference);
  }, 0);
}
