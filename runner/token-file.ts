import * as v from 'valibot';
import type { SequenceInput } from '../src/engine/engine.ts';
import { TillerError } from '../src/errors/error.ts';
import { readJsonInput } from './files.ts';

const count = (low: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(2 ** 31 - 1));
const ids = v.pipe(v.array(count(0)), v.minLength(1));
const labelled = v.pipe(
  v.strictObject({ ids, promptLength: v.optional(count(1)) }),
  v.check(({ ids, promptLength }) => (promptLength ?? 0) <= ids.length, 'promptLength is more than the number of ids'),
);
const sequence = v.lazy((input) => (Array.isArray(input) ? ids : labelled));
const file = v.pipe(v.array(sequence as v.GenericSchema<number[] | { ids: number[]; promptLength?: number }>), v.minLength(1));

/** Sequences of a `--tokens` file, in either form. @throws file/unreadable with the place of the problem */
export async function readTokenFile(path: string): Promise<SequenceInput[]> {
  const result = v.safeParse(file, await readJsonInput(path), { abortEarly: true });
  if (!result.success) {
    const [issue] = result.issues;
    const place = v.getDotPath(issue);
    throw new TillerError('file/unreadable', { file: path, problem: `${place === null ? '' : `at ${place}: `}${issue.message}` });
  }
  return result.output.map((entry) => (Array.isArray(entry) ? { ids: entry } : entry));
}
