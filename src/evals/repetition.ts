/** How much texts repeat themselves, by token ids: nothing here knows what is being said. */

export interface Repetition {
  /** Different n-grams among all, by n: 1 where nothing comes twice; null for texts shorter than n. */
  readonly distinct1: number | null;
  readonly distinct2: number | null;
  readonly distinct3: number | null;
  /** Tokens of the longest n-gram that comes twice (it may overlap itself), as a share of the text; 0 for texts of one token. */
  readonly longestRepeat: number;
  /** Whether the text ends in a loop. */
  readonly loops: boolean;
}

/** Times that a text must repeat its end for it to be a loop, and the tokens that this must make at least. */
const LOOP_TIMES = 3;
const LOOP_TOKENS = 6;

export function repetitionOf(ids: readonly number[]): Repetition {
  return {
    distinct1: distinct(ids, 1),
    distinct2: distinct(ids, 2),
    distinct3: distinct(ids, 3),
    longestRepeat: ids.length === 0 ? 0 : longestRepeat(ids) / ids.length,
    loops: loopPeriod(ids) !== null,
  };
}

/** Share of n-grams that are different ones; null where there is none. */
export function distinct(ids: readonly number[], n: number): number | null {
  const count = ids.length - n + 1;
  if (count < 1) return null;
  const seen = new Set<string>();
  for (let i = 0; i < count; i += 1) seen.add(ids.slice(i, i + n).join());
  return seen.size / count;
}

/** Tokens of the longest n-gram that begins at two places. Time grows with the square of the length. */
export function longestRepeat(ids: readonly number[]): number {
  let longest = 0;
  // Common suffix lengths of every pair of ends, a row at a time.
  let before = new Int32Array(ids.length + 1);
  for (let i = 1; i <= ids.length; i += 1) {
    const row = new Int32Array(ids.length + 1);
    for (let j = 1; j < i; j += 1) {
      if (ids[i - 1] !== ids[j - 1]) continue;
      row[j] = before[j - 1] + 1;
      if (row[j] > longest) longest = row[j];
    }
    before = row;
  }
  return longest;
}

/** Shortest period that the end of a text repeats three times or more, over at least six tokens; null where there is none. */
export function loopPeriod(ids: readonly number[]): number | null {
  for (let period = 1; LOOP_TIMES * period <= ids.length; period += 1) {
    const span = Math.max(LOOP_TIMES * period, LOOP_TOKENS);
    if (span > ids.length) continue;
    let same = true;
    for (let i = ids.length - 1; same && i >= ids.length - span + period; i -= 1) same = ids[i] === ids[i - period];
    if (same) return period;
  }
  return null;
}
