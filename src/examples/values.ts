import { isRecord } from '../formats/json.ts';
import { exampleLimits } from './limits.ts';

/** Why a row cannot be used; thrown while it is read, caught where rows are gathered, never seen by others. */
export class RowError extends Error {}

const quoted = (name: string): string => `"${name.slice(0, 40)}"`;

function checkText(text: string, name: string): string {
  if (text.length > exampleLimits.text)
    throw new RowError(`${quoted(name)} has ${text.length} characters, the limit is ${exampleLimits.text}`);
  if (text.includes('\ufffd')) throw new RowError(`${quoted(name)} has bytes that are not UTF-8`);
  if (/\p{Surrogate}/u.test(text)) throw new RowError(`${quoted(name)} has half of a surrogate pair`);
  return text;
}

/** A value as a text; numbers and truth values are written out. */
function asText(value: unknown, name: string): string | null {
  if (typeof value === 'string') return checkText(value, name);
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (value === undefined || value === null) return null;
  throw new RowError(`${quoted(name)} is not a text`);
}

/** A text that must be there and hold more than white space. White space at its ends is kept: it can matter to a tokenizer. */
export function textValue(value: unknown, name: string): string {
  const text = asText(value, name);
  if (text === null) throw new RowError(`${quoted(name)} is missing`);
  if (text.trim() === '') throw new RowError(`${quoted(name)} is empty`);
  return text;
}

/** A text that may be missing or empty. */
export const optionalText = (value: unknown, name: string): string => asText(value, name) ?? '';

/** Answers as a JSON list, or one text with `;` between them. Empty ones are left out, equal ones kept once. */
export function listValue(value: unknown, name: string): string[] {
  let list: unknown[];
  if (Array.isArray(value)) list = value as unknown[];
  else list = textValue(value, name).split(';');
  if (list.length > exampleLimits.answers) {
    throw new RowError(`${quoted(name)} has ${list.length} answers, the limit is ${exampleLimits.answers}`);
  }
  const texts = list.map((entry) => optionalText(entry, name).trim()).filter((entry) => entry !== '');
  if (texts.length === 0) throw new RowError(`${quoted(name)} has no answer`);
  return [...new Set(texts)];
}

/** Answers with 1 for right and 0 for wrong: `{answer: 0 or 1}`, or `{choices, labels}` as in the Parquet release. */
export function targetsValue(value: unknown, name: string): { right: string[]; wrong: string[] } {
  if (!isRecord(value)) throw new RowError(`${quoted(name)} is not an object of answers`);
  const pairs: [string, unknown][] =
    Array.isArray(value['choices']) && Array.isArray(value['labels'])
      ? value['choices'].map((choice, i) => [textValue(choice, name), (value['labels'] as unknown[])[i]])
      : Object.entries(value);
  if (pairs.length > exampleLimits.answers) throw new RowError(`${quoted(name)} has more than ${exampleLimits.answers} answers`);
  const right: string[] = [];
  const wrong: string[] = [];
  for (const [answer, raw] of pairs) {
    const mark = Number(raw);
    if (mark !== 0 && mark !== 1) throw new RowError(`${quoted(name)} marks an answer with ${String(raw).slice(0, 40)}, not 0 or 1`);
    (mark === 1 ? right : wrong).push(textValue(answer, name));
  }
  return { right, wrong };
}
