import type { BaseIssue } from 'valibot';
import { TillerError } from '../errors/error.ts';

export type Path = readonly (string | number)[];

/** `['nodes', 3, 'at', 'layer']` as `nodes[3].at.layer`; the document itself is `the document`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else if (/^[\w$]+$/.test(key)) text += text === '' ? key : `.${key}`;
    else text += `[${JSON.stringify(key.length > 40 ? `${key.slice(0, 40)}…` : key)}]`;
  }
  return text === '' ? 'the document' : text;
}

export const invalid = (path: Path, problem: string): TillerError => new TillerError('graph/invalid', { path: formatPath(path), problem });

const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** What valibot found, in the words of the document rather than of the checker. */
export function describeIssue(issue: BaseIssue<unknown>): { path: string; problem: string } {
  const path = (issue.path ?? []).map((item) => (typeof item.key === 'number' ? item.key : String(item.key)));
  const last = path.at(-1);
  const { kind, type, expected, received } = issue;
  const missing = kind === 'schema' && received === 'undefined' && last !== undefined;
  let problem: string;
  if (type === 'strict_object' && expected === 'never') problem = `the key "${shorten(String(last))}" is not known here`;
  else if (missing) problem = `"${shorten(String(last))}" is missing`;
  else if (ownMessage.has(type)) problem = issue.message;
  else if (type === 'integer') problem = `expected a whole number, got ${shorten(received)}`;
  else if (type === 'min_length') problem = 'is empty';
  else if (type === 'max_length') problem = `is longer than ${plain(expected).replace('a number <=', '')}`;
  else problem = `expected ${plain(expected)}, got ${named.get(received) ?? shorten(received)}`;
  return { path: formatPath(path), problem };
}

/** Issues whose message the schema gives. */
const ownMessage: ReadonlySet<string> = new Set(['check', 'regex', 'custom', 'union']);

const named: ReadonlyMap<string, string> = new Map([
  ['Object', 'an object'],
  ['Array', 'an array'],
  ['string', 'text'],
  ['number', 'a number'],
]);

/** valibot writes `>=0`, `("a" | ("b" | "c"))`, `Object`. */
const plain = (expected: string | null): string => {
  if (expected === null || expected === 'unknown') return 'a value';
  if (/^[<>]=?-?\d/.test(expected)) return `a number ${expected}`;
  return named.get(expected) ?? expected.replace(/[()]/g, '').replaceAll(' | ', ', ');
};
