import type { Tokenizer } from '../model/tokenizer.ts';
import type { ExampleSet } from './example.ts';
import type { Reading } from './reading.ts';
import type { ReadingNote, ReadingSet } from './readings.ts';

export interface TokenCounts {
  readonly least: number;
  readonly median: number;
  readonly most: number;
  readonly total: number;
}

export interface PreviewRow {
  readonly example: number;
  readonly line: number;
  readonly label: 0 | 1;
  /** Name of the class. */
  readonly className: string;
  /** Tokens as text, `Tokenizer.piece`. */
  readonly pieces: readonly string[];
  readonly promptLength: number;
  /** Index in `pieces` of the token that is read. */
  readonly position: number;
}

/** What there is to know about examples before a model runs on them. Plain data. */
export interface Preview {
  readonly rows: number;
  readonly groups: number;
  readonly texts: number;
  readonly pairs: number;
  readonly tokens: TokenCounts;
  /** Texts of the class with label 0 and 1. */
  readonly balance: readonly [number, number];
  /** Texts that are there already with the same label: how many more than once, and lines of the first ones. */
  readonly duplicates: { readonly count: number; readonly lines: readonly number[] };
  /** Texts that stand in both classes, by the lines of their rows. */
  readonly conflicts: { readonly count: number; readonly lines: readonly (readonly [number, number])[] };
  readonly cut: readonly ReadingNote[];
  readonly dropped: readonly ReadingNote[];
  readonly first: readonly PreviewRow[];
}

const LISTED = 50;

/** @param show rows of tokens to give. @default 8 */
export function preview(set: ExampleSet, readings: ReadingSet, tokenizer: Tokenizer, show = 8): Preview {
  const lengths = readings.readings.map(({ ids }) => ids.length).sort((a, b) => a - b);
  const line = ({ example }: Reading): number => set.rows[example].line;
  const seen = new Map<string, Reading>();
  const duplicates: number[] = [];
  const conflicts: (readonly [number, number])[] = [];
  const balance: [number, number] = [0, 0];
  for (const reading of readings.readings) {
    balance[reading.label]++;
    const key = `${reading.position} ${reading.ids.join(' ')}`;
    const before = seen.get(key);
    if (before === undefined) seen.set(key, reading);
    else if (before.label === reading.label) duplicates.push(line(reading));
    else conflicts.push([line(before), line(reading)]);
  }
  return {
    rows: set.rows.length,
    groups: new Set(set.rows.map(({ group }) => group)).size,
    texts: readings.readings.length,
    pairs: new Set(readings.readings.filter(({ pair }) => pair >= 0).map(({ pair }) => pair)).size,
    tokens: {
      least: lengths[0] ?? 0,
      median: lengths.length === 0 ? 0 : (lengths[(lengths.length - 1) >> 1] + lengths[lengths.length >> 1]) / 2,
      most: lengths.at(-1) ?? 0,
      total: lengths.reduce((sum, length) => sum + length, 0),
    },
    balance,
    duplicates: { count: duplicates.length, lines: duplicates.slice(0, LISTED) },
    conflicts: { count: conflicts.length, lines: conflicts.slice(0, LISTED) },
    cut: readings.cut,
    dropped: readings.dropped,
    first: readings.readings.slice(0, show).map((reading) => ({
      example: reading.example,
      line: line(reading),
      label: reading.label,
      className: set.classes[reading.label],
      pieces: reading.ids.map((id) => tokenizer.piece(id)),
      promptLength: reading.promptLength,
      position: reading.position,
    })),
  };
}
