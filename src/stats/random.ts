/**
 * Chance with a seed: the same seed gives the same numbers on every machine. What needs chance takes `random: () => number` (uniform
 * in [0, 1)) as an argument; this makes one.
 */

/** The whole state of a generator: four u32. */
export type RandomState = readonly [number, number, number, number];

/** Uniform numbers in [0, 1), multiples of 2^-53. */
export interface SeededRandom {
  (): number;
  /** What `seededRandom` takes to go on from here. */
  state(): RandomState;
}

/**
 * sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, a period of at least 2^32, two draws a number.
 * @param seed a whole number, of which all 53 bits count, or the state of a generator to go on from
 */
export function seededRandom(seed: number | RandomState): SeededRandom {
  let [a, b, c, counter] = typeof seed === 'number' ? [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, 0x9e3779b9, 1] : seed;
  const next = (): number => {
    const out = (a + b + counter) >>> 0;
    counter = (counter + 1) >>> 0;
    a = (b ^ (b >>> 9)) >>> 0;
    b = (c + (c << 3)) >>> 0;
    c = (((c << 21) | (c >>> 11)) + out) >>> 0;
    return out;
  };
  // Near seeds give like states; a few rounds part them.
  if (typeof seed === 'number') for (let i = 0; i < 15; i++) next();
  const random = (): number => {
    const high = next() >>> 5;
    return (high * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
  };
  return Object.assign(random, { state: (): RandomState => [a, b, c, counter] });
}

/** A whole number in [0, below). */
export const randomIndex = (below: number, random: () => number): number => Math.floor(random() * below);

/** The items in random order (Fisher and Yates); the list given stays as it is. */
export function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = randomIndex(i + 1, random);
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

/** `count` of the items, none twice, in random order; all of them where there are no more. */
export function sample<T>(items: readonly T[], count: number, random: () => number): T[] {
  const pool = [...items];
  const taken = Math.min(Math.max(0, Math.floor(count)), pool.length);
  for (let i = 0; i < taken; i++) {
    const j = i + randomIndex(pool.length - i, random);
    [pool[i], pool[j]] = [pool[j], pool[i]];
  }
  return pool.slice(0, taken);
}

/** A standard normal number (Box and Muller), from two uniform ones. */
export function normal(random: () => number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random()));
  return radius * Math.cos(2 * Math.PI * random());
}
