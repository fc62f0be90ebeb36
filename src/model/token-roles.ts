import type { Role } from '../graph/document.ts';
import type { ContentSpan } from './chat-template.ts';

/** One token of a text: its UTF-8 bytes, and whether it is a control token that stands outside of the running text. */
export interface TokenPiece {
  readonly bytes: Uint8Array;
  readonly control: boolean;
}

const SPACE = 32;

/** Whether `piece` from `skip` on is what stands at `at`. */
function matches(text: Uint8Array, at: number, piece: Uint8Array, skip: number): boolean {
  if (at + piece.length - skip > text.length) return false;
  for (let i = skip; i < piece.length; i++) if (text[at + i - skip] !== piece[i]) return false;
  return true;
}

const isSpace = (byte: number): boolean => byte === SPACE || (byte >= 9 && byte <= 13);

type Place = { readonly start: number; readonly end: number } | null;

/**
 * Byte range of every token in the text they were made from; null from the first token on that cannot be found.
 * Tokenizers change little: they may put a space before a text, and swallow spaces around control tokens; both are followed.
 */
export function alignTokens(text: Uint8Array, pieces: readonly TokenPiece[]): Place[] {
  const plain = align(text, pieces, -1);
  const first = pieces.findIndex(({ bytes, control }) => !control && bytes.length > 0);
  // Where a text begins with spaces, a space put before it looks like the text's own first: only the rest tells them apart.
  if (first < 0 || pieces[first].bytes[0] !== SPACE) return plain.places;
  const place = plain.places[first];
  if (place !== null && text[place.start] !== SPACE) return plain.places;
  const added = align(text, pieces, first);
  return added.changes <= plain.changes ? added.places : plain.places;
}

/**
 * One way to lay tokens along a text.
 * @param added index of the token whose first space is none of the text's; -1 for none
 * @returns changes: spaces that were put in or swallowed; infinite where a token cannot be found
 */
function align(text: Uint8Array, pieces: readonly TokenPiece[], added: number): { readonly places: Place[]; readonly changes: number } {
  const places: Place[] = [];
  let at = 0;
  let changes = 0;
  for (const [i, { bytes }] of pieces.entries()) {
    let place = changes === Infinity ? null : locate(text, at, bytes, i === added);
    if (changes !== Infinity && place === null) {
      let next = at;
      while (next < text.length && isSpace(text[next])) next++;
      place = next > at ? locate(text, next, bytes, i === added) : null;
      changes += next - at;
    }
    if (place === null) changes = Infinity;
    else {
      changes += bytes.length - (place.end - place.start);
      at = place.end;
    }
    places.push(place);
  }
  return { places, changes };
}

function locate(text: Uint8Array, at: number, bytes: Uint8Array, added: boolean): Exclude<Place, null> | null {
  if (!added && matches(text, at, bytes, 0)) return { start: at, end: at + bytes.length };
  if (bytes[0] === SPACE && matches(text, at, bytes, 1)) return { start: at, end: at + bytes.length - 1 };
  return null;
}

/**
 * Role of every token of a rendered chat: that of the message whose content it touches, `template` where it touches none, null
 * where it could not be told.
 */
export function tokenRoles(text: string, pieces: readonly TokenPiece[], spans: readonly ContentSpan[] | null): (Role | null)[] {
  if (spans === null) return pieces.map(({ control }) => (control ? 'template' : null));
  const encoder = new TextEncoder();
  const bytes = encoder.encode(text);
  const byteSpans = spans.map(({ role, start, end }) => {
    const from = encoder.encode(text.slice(0, start)).length;
    return { role, start: from, end: from + encoder.encode(text.slice(start, end)).length };
  });
  return alignTokens(bytes, pieces).map((place) => {
    if (place === null) return null;
    return byteSpans.find((span) => place.start < span.end && place.end > span.start)?.role ?? 'template';
  });
}
