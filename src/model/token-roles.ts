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

/**
 * Byte range of every token in the text they were made from; null from the first token on that cannot be found.
 * Tokenizers change little: they may put a space before a text, and swallow spaces around control tokens; both are followed.
 */
export function alignTokens(text: Uint8Array, pieces: readonly TokenPiece[]): ({ readonly start: number; readonly end: number } | null)[] {
  const out: ({ start: number; end: number } | null)[] = [];
  let at = 0;
  let lost = false;
  for (const { bytes } of pieces) {
    let place = lost ? null : locate(text, at, bytes);
    if (!lost && place === null) {
      let next = at;
      while (next < text.length && isSpace(text[next])) next++;
      place = next > at ? locate(text, next, bytes) : null;
    }
    if (place === null) lost = true;
    else at = place.end;
    out.push(place);
  }
  return out;
}

function locate(text: Uint8Array, at: number, bytes: Uint8Array): { start: number; end: number } | null {
  if (matches(text, at, bytes, 0)) return { start: at, end: at + bytes.length };
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
