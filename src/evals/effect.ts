import type { Part } from '../examples/reading.ts';
import type { Condition } from './condition.ts';
import type { EvalRun } from './run.ts';

/**
 * What an intervention is for, as numbers: one value for every independent unit (question, pair, text, prompt) under every condition;
 * larger is more of what is wanted. Estimates and intervals are made of them in one place, whatever is measured.
 */
export interface Effect {
  /** Row of the effects table. */
  readonly name: string;
  readonly title: string;
  /** What the values are: `nats`, `nats a token`, `probability`. */
  readonly unit: string;
  /** Which rows it is measured on; a sweep takes validation rows, the last measurement test rows. */
  readonly part: Part;
  /** Of the units, in the order of the values. Units of one group are averaged before anything is estimated. */
  readonly groups: readonly string[];
  /** Sentences on what was left out. */
  readonly notes: readonly string[];
  /** @throws what the engine throws */
  measure(conditions: readonly Condition[], run: EvalRun): Promise<EffectValues>;
}

export interface EffectValues {
  /** By unit. */
  readonly unedited: readonly number[];
  /** By condition, then by unit. */
  readonly conditions: readonly (readonly number[])[];
  /** Edits that acted, by condition. */
  readonly edits: readonly number[];
}

/** Values by group: the mean of its units, in the order in which groups first appear. */
export function byGroup(values: readonly number[], groups: readonly string[]): number[] {
  const sums = new Map<string, { sum: number; count: number }>();
  values.forEach((value, i) => {
    const entry = sums.get(groups[i]) ?? { sum: 0, count: 0 };
    sums.set(groups[i], { sum: entry.sum + value, count: entry.count + 1 });
  });
  return [...sums.values()].map(({ sum, count }) => sum / count);
}
