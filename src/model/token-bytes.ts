import { TillerError } from '../errors/error.ts';
import { isRecord } from '../formats/json.ts';

/** How a vocabulary spells the bytes of its tokens. */
export type TokenSpelling =
  /** GPT-2: every byte is one printable character. */
  | 'byte-level'
  /** SentencePiece: U+2581 is a space, `<0xAB>` one byte of a character that has no token. */
  | 'sentencepiece';

/** Types of all decoders in a tokenizer.json `decoder`, nested ones included. */
function decoderTypes(decoder: unknown, depth = 0): string[] {
  if (!isRecord(decoder) || depth > 8) return [];
  const inner = Array.isArray(decoder.decoders) ? decoder.decoders.flatMap((entry) => decoderTypes(entry, depth + 1)) : [];
  return typeof decoder.type === 'string' ? [decoder.type, ...inner] : inner;
}

/** The spelling that a tokenizer.json uses. @throws model/tokenizer where it is another one */
export function spellingOf(decoder: unknown): TokenSpelling {
  const types = decoderTypes(decoder);
  if (types.includes('ByteLevel')) return 'byte-level';
  if (types.includes('ByteFallback') || types.includes('Metaspace')) return 'sentencepiece';
  const found = types.length > 0 ? types.join(', ') : 'missing';
  throw new TillerError('model/tokenizer', { problem: `its decoder is ${found}; known are ByteLevel, and ByteFallback or Metaspace` });
}

/** Byte of each character of the GPT-2 alphabet: printable Latin-1 stands for itself, the rest is moved up to U+0100 and on. */
function byteAlphabet(): Map<string, number> {
  const out = new Map<string, number>();
  let moved = 0;
  for (let byte = 0; byte < 256; byte++) {
    const itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    out.set(String.fromCharCode(itself ? byte : 256 + moved), byte);
    if (!itself) moved++;
  }
  return out;
}

const alphabet = byteAlphabet();
const encoder = new TextEncoder();

/** UTF-8 bytes that a vocabulary entry stands for; not always whole characters. */
export function tokenBytes(token: string, spelling: TokenSpelling): Uint8Array {
  if (spelling === 'sentencepiece') {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
    return byte ? Uint8Array.of(parseInt(byte[1], 16)) : encoder.encode(token.replaceAll('\u2581', ' '));
  }
  const out: number[] = [];
  for (const character of token) {
    const byte = alphabet.get(character);
    if (byte === undefined) return encoder.encode(token); // an added token in plain text
    out.push(byte);
  }
  return Uint8Array.from(out);
}

/** Bytes as text to look at: whole characters as they are, bytes that are only a part of one as `\xE4`. */
export function showBytes(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    let out = '';
    let at = 0;
    while (at < bytes.length) {
      const length = wholeCharacter(bytes, at);
      out +=
        length > 0
          ? new TextDecoder().decode(bytes.subarray(at, at + length))
          : `\\x${bytes[at].toString(16).toUpperCase().padStart(2, '0')}`;
      at += Math.max(length, 1);
    }
    return out;
  }
}

/** Length of the valid UTF-8 character that starts at `at`, or 0. */
function wholeCharacter(bytes: Uint8Array, at: number): number {
  const first = bytes[at];
  const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}
