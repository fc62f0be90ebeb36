/**
 * JSON.parse silently keeps the last of two equal keys and takes any depth. Files from elsewhere are looked at first: equal keys
 * and depth beyond a limit are refused, in one pass without recursion.
 */

const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const COLON = 58;

/** Index of the closing quote of the string that opens at `start`; the text's length when it never closes. */
function stringEnd(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i;
    i += code === BACKSLASH ? 2 : 1;
  }
  return text.length;
}

/** Whether the first thing after `from` that is not white space is a colon: then the string before it was a key. */
function colonFollows(text: string, from: number): boolean {
  let i = from;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (code !== 32 && code !== 9 && code !== 10 && code !== 13) return code === COLON;
    i++;
  }
  return false;
}

/** What is wrong with the keys or the depth of a JSON text, or null. Says nothing about whether it is JSON at all. */
export function jsonTrouble(text: string, maxDepth: number): string | null {
  // Per open bracket the keys seen so far; null for arrays.
  const open: (Set<string> | null)[] = [];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const end = stringEnd(text, i);
      const keys = open.at(-1);
      if (keys && colonFollows(text, end + 1)) {
        const key = text.slice(i + 1, end);
        const plain = key.includes('\\') ? unescaped(key) : key;
        if (keys.has(plain)) return `the key ${JSON.stringify(plain.slice(0, 100))} appears twice`;
        keys.add(plain);
      }
      i = end;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      open.push(code === OPEN_BRACE ? new Set() : null);
      if (open.length > maxDepth) return `it is nested deeper than ${maxDepth} levels`;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      open.pop();
    }
  }
  return null;
}

function unescaped(key: string): string {
  try {
    return JSON.parse(`"${key}"`) as string;
  } catch {
    return key; // JSON.parse of the whole text will refuse it
  }
}

/** A parsed value, or the reason why the bytes are not acceptable JSON. Never throws. */
export type JsonResult = { readonly value: unknown } | { readonly problem: string };

/** Parses UTF-8 JSON from a file; invalid UTF-8, equal keys and depth over `maxDepth` are refused. */
export function readJson(bytes: Uint8Array, maxDepth = 64): JsonResult {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { problem: 'it is not UTF-8 text' };
  }
  const trouble = jsonTrouble(text, maxDepth);
  if (trouble) return { problem: trouble };
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (cause) {
    return { problem: `it is not JSON (${cause instanceof Error ? cause.message : String(cause)})` };
  }
}

/** A JSON object rather than an array, null or a plain value. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
