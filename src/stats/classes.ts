import { TillerError } from '../errors/error.ts';

/**
 * How many labels are 1 and 0, of numbers that go with them.
 * @throws stats/argument for unequal lengths, labels that are not 0 or 1, or values that are not numbers; stats/one-class
 */
export function classCounts(values: ArrayLike<number>, labels: ArrayLike<number>, what: string): { positive: number; negative: number } {
  if (values.length !== labels.length)
    throw new TillerError('stats/argument', { problem: `${values.length} scores have ${labels.length} labels` });
  let positive = 0;
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] !== 0 && labels[i] !== 1) throw new TillerError('stats/argument', { problem: `label ${i} is ${labels[i]}, not 0 or 1` });
    if (Number.isNaN(values[i])) throw new TillerError('stats/argument', { problem: `score ${i} is not a number` });
    positive += labels[i];
  }
  const negative = labels.length - positive;
  if (positive === 0 || negative === 0) throw new TillerError('stats/one-class', { what, positive, negative });
  return { positive, negative };
}
