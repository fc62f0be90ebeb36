import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageFrame, readResult, resultFrames } from './frames.ts';
import { arrayLengths, pack, unpack } from './values.ts';

const leaf = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.string(),
  fc.constant(null),
  fc.constantFrom(-0, Infinity, -Infinity, Number.NaN),
  fc.float32Array({ maxLength: 20 }),
);
const key = fc.oneof(fc.string(), fc.constantFrom('$f32', '$number', '$$f32', 'edits')).filter((name) => name !== '__proto__');
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(key, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

const joined = (parts: Iterable<Uint8Array>): Uint8Array => {
  const all = [...parts];
  const out = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of all) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error: { code?: unknown }) => error.code ?? error,
  );

describe('results as they travel', () => {
  it('come out as they went in, bit for bit', () => {
    fc.assert(
      fc.property(tree, (value) => {
        const { value: packed, arrays } = pack(value);
        const json = JSON.parse(JSON.stringify(packed)) as unknown;
        expect(arrayLengths(json)).toEqual(arrays.map(({ length }) => length));
        expect(unpack(json, arrays)).toStrictEqual(value);
      }),
    );
  });

  it('come out whole however the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(tree, fc.integer({ min: 1, max: 50 }), async (value, size) => {
        expect(await readResult(cut(joined(resultFrames(value)), size))).toStrictEqual(value);
      }),
    );
  });

  it('are cut into frames where they are large', async () => {
    const value = { data: Float32Array.from({ length: 300_000 }, (_, i) => Math.fround(Math.sin(i))) };
    const frames = [...resultFrames(value)];
    expect(Math.max(...frames.map(({ length }) => length))).toBeLessThanOrEqual(256 * 1024);
    expect(await readResult(cut(joined(frames), 100_000))).toStrictEqual(value);
  });

  it('tell of progress before they come', async () => {
    const seen: unknown[] = [];
    const bytes = joined([messageFrame({ type: 'beat' }), messageFrame({ type: 'progress', done: 1, total: 2 }), ...resultFrames(7)]);
    expect(await readResult(cut(bytes, 3), { onProgress: (done, total) => seen.push([done, total]) })).toBe(7);
    expect(seen).toEqual([[1, 2]]);
  });

  it('are never taken for whole where the stream was cut or damaged', async () => {
    const whole = joined(resultFrames({ data: new Float32Array(50), rest: 'x' }));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length - 1 }), async (length) => {
        expect(await codeOf(readResult(cut(whole.slice(0, length), 7)))).toBe('runner/connection');
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (noise) => {
        expect(['runner/answer', 'runner/connection']).toContain(await codeOf(readResult(cut(noise, 7))));
      }),
    );
  });

  it('throw the error that the runner tells of', async () => {
    const error = { code: 'request/context', message: 'm', why: 'w', fix: 'f', details: { needed: 3, limit: 2 } } as const;
    expect(await codeOf(readResult(cut(messageFrame({ type: 'error', error }), 9)))).toBe('request/context');
  });
});
