import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alignTokens, type TokenPiece } from './token-roles.ts';

const encoder = new TextEncoder();
const pieces = (...texts: string[]): TokenPiece[] => texts.map((text) => ({ bytes: encoder.encode(text), control: false }));
const places = (text: string, ...tokens: string[]) =>
  alignTokens(encoder.encode(text), pieces(...tokens)).map((place) => place && [place.start, place.end]);

describe('tokens along their text', () => {
  it('follow a space that was put before it', () => {
    expect(places('a b', ' a', ' b')).toEqual([[0, 1], [1, 3]]); // prettier-ignore
  });

  it('keep their places where the text begins with spaces of its own', () => {
    expect(places('  a b', '  ', ' a', ' b')).toEqual([[0, 1], [1, 3], [3, 5]]); // prettier-ignore
    expect(places('  a b', ' ', ' a', ' b')).toEqual([[0, 1], [1, 3], [3, 5]]); // prettier-ignore
    expect(places(' a', ' ', ' a')).toEqual([[0, 0], [0, 2]]); // prettier-ignore
    expect(places(' a', ' a')).toEqual([[0, 2]]);
  });

  it('end with null where they cannot be found', () => {
    expect(places('a b', 'a', 'c', 'b')).toEqual([[0, 1], null, null]);
  });

  it('are all of the text, in order, whatever it begins with and with or without a space before it', () => {
    const text = fc.array(fc.constantFrom(' ', 'a', 'b', 'é'), { minLength: 1, maxLength: 12 }).map((letters) => letters.join(''));
    const cut = fc.array(fc.boolean(), { minLength: 13, maxLength: 13 });
    fc.assert(
      fc.property(text, cut, fc.boolean(), (given, cuts, spaced) => {
        const whole = spaced ? ` ${given}` : given;
        const tokens: string[] = [];
        [...whole].forEach((letter, i) => (i === 0 || cuts[i] ? tokens.push(letter) : (tokens[tokens.length - 1] += letter)));
        const got = alignTokens(encoder.encode(given), pieces(...tokens));
        // The true places, less the space that is none of the text's.
        let at = spaced ? -1 : 0;
        const truth = tokens.map((token) => {
          const start = Math.max(0, at);
          at += encoder.encode(token).length;
          return { start, end: at };
        });
        expect(got).toEqual(truth);
      }),
      { numRuns: 300 },
    );
  });
});
