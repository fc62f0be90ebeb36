import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TextStream } from './text-stream.ts';

const bytes = (ids: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(ids));

describe('TextStream', () => {
  it('gives the same text in pieces as at once, for one byte a token', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (context, text) => {
        const ids = [...new TextEncoder().encode(text)];
        const stream = new TextStream(bytes, [...new TextEncoder().encode(context)]);
        const whole = bytes([...new TextEncoder().encode(context), ...ids]).slice(bytes([...new TextEncoder().encode(context)]).length);
        // A replacement character in the text itself cannot be told from an incomplete one.
        fc.pre(!(context + text).includes('\uFFFD') && !(context + text).includes('\uFEFF'));
        expect(ids.map((id) => stream.push(id)).join('')).toBe(whole);
      }),
    );
  });

  it('keeps a leading space that a decoder drops at the beginning of a text', () => {
    const words = ['▁Once', '▁upon', 'a', '▁time'];
    const decode = (ids: readonly number[]): string => ids.map((id) => words[id]).join('').replaceAll('▁', ' ').replace(/^ /, '');
    const stream = new TextStream(decode, [0]);
    expect([1, 2, 3].map((id) => stream.push(id))).toEqual([' upon', 'a', ' time']);
  });

  it('does not wait for ever for bytes that are no text', () => {
    const stream = new TextStream(bytes);
    const pieces = Array.from({ length: 20 }, () => stream.push(0xff));
    expect(pieces.join('').length).toBeGreaterThan(0);
  });
});
