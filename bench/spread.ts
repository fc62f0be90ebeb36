/** What repeated measurements gave: the median, the quartiles around it, and how many there were. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/** Quartiles by linear interpolation between order statistics. Throws RangeError on an empty list. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('no measurements');
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
  };
  return { median: at(0.5), low: at(0.25), high: at(0.75), count: sorted.length };
}

/** One run of one arm: milliseconds on the clock, and milliseconds of processor time of this process. */
export interface Timing {
  readonly wall: number;
  readonly cpu: number;
}

export async function timed(work: () => Promise<unknown>): Promise<Timing> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const wall = performance.now() - start;
  const used = process.cpuUsage(cpu);
  return { wall, cpu: (used.user + used.system) / 1000 };
}

/**
 * Runs several arms side by side: every round runs each of them once, and the next round begins with the next arm, so that a
 * machine that gets slower or busier does so for all of them. One round before the first is not counted.
 */
export async function interleave<Name extends string, Sample>(
  arms: Readonly<Record<Name, (round: number) => Promise<Sample>>>,
  rounds: number,
): Promise<Record<Name, Sample[]>> {
  const names = Object.keys(arms) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as Sample[]])) as Record<Name, Sample[]>;
  for (let round = -1; round < rounds; round += 1) {
    for (let i = 0; i < names.length; i += 1) {
      const name = names[(i + round + 1) % names.length];
      const sample = await arms[name](round + 1);
      if (round >= 0) samples[name].push(sample);
    }
  }
  return samples;
}

/** a / b round by round. */
export const ratios = (a: readonly number[], b: readonly number[]): Spread => spread(a.map((value, round) => value / b[round]));

/** Units a second from milliseconds a unit. */
export const perSecond = (milliseconds: readonly number[], units = 1): Spread => spread(milliseconds.map((ms) => (1000 * units) / ms));
