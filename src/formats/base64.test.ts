import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { base64, fromBase64 } from './base64.ts';

describe('base64', () => {
  it('is what Node writes, and comes back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(base64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
        expect(fromBase64(base64(bytes))).toEqual(bytes);
      }),
    );
  });

  it('takes arrays longer than an argument list', () => {
    const bytes = Uint8Array.from({ length: 300_001 }, (_, i) => i & 255);
    expect(Buffer.compare(fromBase64(base64(bytes)) ?? new Uint8Array(), bytes)).toBe(0);
  });

  it('says null to what is none', () => expect(fromBase64('a*b')).toBeNull());
});
