import { alignTokens, type TokenPiece } from '../model/token-roles.ts';
import type { Tokenizer } from '../model/tokenizer.ts';

/**
 * Where an answer lies among the tokens of a whole text. Tokens are made of the whole text, as the model sees it, and the answer is
 * found by characters: a token that reaches into the answer belongs to it, also when it began before (`?\n` and the like are one
 * token in some vocabularies). Nothing is found by counting tokens of a part.
 */

const encoder = new TextEncoder();
const ESCAPE = /\\x([0-9A-F]{2})/g;

/** Bytes of a token as `Tokenizer.piece` writes them: `\xE4` is one byte, all else text. */
function pieceBytes(piece: string, escapes: boolean): Uint8Array {
  if (!escapes || !piece.includes('\\x')) return encoder.encode(piece);
  const out: number[] = [];
  let from = 0;
  for (const found of piece.matchAll(ESCAPE)) {
    out.push(...encoder.encode(piece.slice(from, found.index)), parseInt(found[1], 16));
    from = found.index + found[0].length;
  }
  out.push(...encoder.encode(piece.slice(from)));
  return Uint8Array.from(out);
}

export interface TokenSpan {
  /** Positions [start, end) of the tokens that reach into the part. */
  readonly start: number;
  readonly end: number;
}

/**
 * Tokens of `text` that reach into its characters from `from` (UTF-16 units) to the end; control tokens around the text belong
 * to neither part. Null where tokens and text cannot be laid beside each other: the tokenizer changes the text.
 */
export function spanFrom(tokenizer: Tokenizer, text: string, ids: readonly number[], from: number): TokenSpan | null {
  const first = controlsBefore(tokenizer, text, ids);
  const last = ids.length - controlsAfter(tokenizer, text, ids, first);
  const inner = ids.slice(first, last);
  const [before, after] = [text.slice(0, from), text.slice(from)];
  for (const escapes of [true, false]) {
    const pieces = inner.map((id): TokenPiece => ({ bytes: pieceBytes(tokenizer.piece(id), escapes), control: tokenizer.isControl(id) }));
    // Some tokenizers compose characters or fold compatibility forms first; the border moves with them.
    for (const form of [null, 'NFC', 'NFKC'] as const) {
      const shaped = form === null ? text : text.normalize(form);
      const border = form === null ? before : before.normalize(form);
      if (form !== null && border + after.normalize(form) !== shaped) continue;
      const span = reaching(encoder.encode(shaped), pieces, encoder.encode(border).length);
      if (span) return { start: first + span.start, end: first + span.end };
    }
  }
  return null;
}

function reaching(given: Uint8Array, pieces: readonly TokenPiece[], border: number): TokenSpan | null {
  const size = pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
  // SentencePiece puts one space before a text; where the text begins with spaces too, only the count tells.
  const spaced = size === given.length + 1 && pieces.find(({ bytes }) => bytes.length > 0)?.bytes[0] === 32;
  const [text, from] = spaced ? [Uint8Array.of(32, ...given), border + 1] : [given, border];
  const places = alignTokens(text, pieces);
  if (places.length === 0 || places.includes(null)) return null;
  const start = places.findIndex((place) => place !== null && place.end > from);
  return start < 0 ? null : { start, end: places.length };
}

/** Control tokens that were put before a text and are not written in it. */
function controlsBefore(tokenizer: Tokenizer, text: string, ids: readonly number[]): number {
  let count = 0;
  while (count < ids.length && tokenizer.isControl(ids[count]) && !text.startsWith(tokenizer.piece(ids[count]))) count++;
  return count;
}

function controlsAfter(tokenizer: Tokenizer, text: string, ids: readonly number[], first: number): number {
  let count = 0;
  while (ids.length - count > first) {
    const id = ids[ids.length - 1 - count];
    if (!tokenizer.isControl(id) || text.endsWith(tokenizer.piece(id))) break;
    count++;
  }
  return count;
}
