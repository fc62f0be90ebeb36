import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Joiner, PieceSender, cut, type Part } from './message-pieces.ts';

const numbers = (length: number, from = 0): Float32Array => Float32Array.from({ length }, (_, i) => Math.fround(Math.sin(from + i)));
/** With hashes for arrays: numbers by the hundred thousand are not compared one by one. */
const hashed = (value: unknown): unknown => {
  if (value instanceof Float32Array)
    return createHash('sha256')
      .update(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
      .digest('hex');
  if (Array.isArray(value)) return value.map(hashed);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hashed(inner)]));
};

/** As a channel does it: nothing of the other side's memory comes along. */
const travel = (message: unknown): { readonly parts: Part[]; readonly arrived: unknown[] } => {
  const arrived: unknown[] = [];
  const joiner = new Joiner((one) => arrived.push(one));
  const parts = [...cut(message)].map((part) => structuredClone(part));
  for (const part of parts) joiner.take(part);
  return { parts, arrived };
};

describe('messages in pieces', () => {
  it('leaves small messages whole', () => {
    const message = { type: 'done', value: [numbers(1000), null, { a: undefined, b: -Infinity, $f32: 3 }] };
    const { parts, arrived } = travel(message);
    expect(parts.map(({ part }) => part)).toEqual(['whole']);
    expect(arrived).toStrictEqual([message]);
  });

  it.each([
    ['one array', [300_000]],
    ['pieces that end with an array', [262_144, 262_144]],
    ['empty ones', [0, 400_000, 0, 0, 1, 0]],
    ['many small ones', Array.from({ length: 500 }, (_, i) => i * 3)],
  ])('gives the same from pieces: %s', (_, lengths) => {
    const arrays = lengths.map((length, i) => ({ layer: i, data: numbers(length, i), positions: [i, -0, Number.NaN] }));
    const message = { type: 'done', value: { arrays, kept: Uint8Array.of(1, 2), nothing: undefined, $f32: 7, none: null } };
    const { parts, arrived } = travel(message);
    expect(parts[0].part).toBe('head');
    for (const part of parts) if (part.part === 'piece') expect(part.bytes.length).toBeLessThanOrEqual(2 ** 20);
    expect(hashed(arrived)).toStrictEqual(hashed([message]));
  });

  it('sends a part of something larger alone, and what is there twice once', () => {
    const whole = numbers(600_000);
    const part = whole.subarray(100_000, 500_000);
    const { parts, arrived } = travel({ a: part, b: { again: part } });
    expect(parts.reduce((sum, piece) => sum + (piece.part === 'piece' ? piece.bytes.length : 0), 0)).toBe(part.byteLength);
    const [{ a, b }] = arrived as [{ a: Float32Array; b: { again: Float32Array } }];
    expect(hashed(a)).toBe(hashed(part.slice()));
    expect(a.buffer.byteLength).toBe(part.byteLength);
    expect(b.again).toBe(a);
  });

  it('keeps the order, and makes a piece only when the last one was taken', () => {
    const arrived: unknown[] = [];
    const joiner = new Joiner((message) => arrived.push((message as { type: string }).type));
    const taken: (() => void)[] = [];
    const sender = new PieceSender((part, done) => {
      joiner.take(part);
      taken.push(() => done(null));
    });
    for (const type of ['first', 'large', 'last']) sender.post({ type, data: type === 'large' ? numbers(600_000) : null });
    // head and three pieces of the large one, each after the one before; then the last
    for (let step = 1; step <= 6; step++) {
      expect(taken).toHaveLength(step);
      taken[step - 1]();
    }
    expect(taken).toHaveLength(6);
    expect(arrived).toEqual(['first', 'large', 'last']);
  });

  it('goes on with the next message where one cannot be sent', () => {
    const sent: unknown[] = [];
    const sender = new PieceSender((part, done) => {
      sent.push(part.part);
      done(part.part === 'head' ? new Error('closed') : null);
    });
    sender.post({ data: numbers(600_000) });
    sender.post({ type: 'small' });
    expect(sent).toEqual(['head', 'whole']);
  });
});
