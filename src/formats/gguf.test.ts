import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { parseGguf, parseGgufHeader, writeGguf, type GgufField } from './gguf.ts';
import { decodeF32 } from './safetensors.ts';

const problemOf = (bytes: Uint8Array): string => {
  try {
    parseGguf(bytes, 'x.gguf');
  } catch (error) {
    if (error instanceof TillerError && error.code === 'model/file') return String(error.details['problem']);
    throw error;
  }
  return 'none';
};

const name = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => !/\p{Surrogate}/u.test(text) && text !== 'general.alignment');
const field: fc.Arbitrary<GgufField> = fc.oneof(
  fc.record({ type: fc.constant('string' as const), value: fc.string().filter((text) => !/\p{Surrogate}/u.test(text)) }),
  fc.record({ type: fc.constant('u32' as const), value: fc.nat({ max: 0xffffffff }) }),
);
const tensor = fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 4 }).chain((shape) =>
  fc.record({
    name,
    shape: fc.constant(shape),
    data: fc.float32Array({ minLength: shape.reduce((a, b) => a * b, 1), maxLength: shape.reduce((a, b) => a * b, 1) }),
  }),
);
const file = fc.record({
  metadata: fc.dictionary(name, field, { maxKeys: 5, noNullPrototype: true }).filter((keys) => !Object.hasOwn(keys, '__proto__')),
  tensors: fc.uniqueArray(tensor, { selector: (entry) => entry.name, maxLength: 4 }),
});

describe('GGUF', () => {
  it('gives back what was written', () => {
    fc.assert(
      fc.property(file, ({ metadata, tensors }) => {
        const bytes = writeGguf(metadata, tensors);
        const header = parseGguf(bytes, 'x.gguf');
        expect(header.version).toBe(3);
        expect([...header.metadata]).toEqual(Object.entries(metadata).map(([key, { value }]) => [key, value]));
        expect([...header.tensors.keys()]).toEqual(tensors.map((entry) => entry.name));
        for (const { name: key, shape, data } of tensors) {
          const found = header.tensors.get(key);
          expect(found?.shape).toEqual(shape);
          expect(found && found.start % 32).toBe(0);
          expect(found && decodeF32(bytes.slice(found.start, found.end), found.type, key)).toEqual(data);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('refuses every file that is cut short, with a named error', () => {
    const bytes = writeGguf({ 'general.architecture': { type: 'string', value: 'controlvector' } }, [
      { name: 'direction.1', shape: [40], data: new Float32Array(40).fill(1) },
    ]);
    // The last tensor is padded; what is cut from the padding is not missed.
    for (let end = 0; end < bytes.length - 96; end++) expect(problemOf(bytes.slice(0, end))).not.toBe('none');
  });

  it('never fails otherwise than with a named error, whatever byte is changed', () => {
    const bytes = writeGguf({ a: { type: 'u32', value: 7 }, b: { type: 'string', value: 'text' } }, [
      { name: 't', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
    ]);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const changed = bytes.slice();
          for (const [at, value] of changes) changed[at] = value;
          problemOf(changed);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('believes no count: a lie is refused before anything is made from it', () => {
    const bytes = writeGguf({}, []);
    const lie = (at: number, value: bigint): Uint8Array => {
      const changed = bytes.slice();
      new DataView(changed.buffer).setBigUint64(at, value, true);
      return changed;
    };
    expect(problemOf(lie(8, 1n << 60n))).toContain('the number of tensors is 1152921504606846976');
    expect(problemOf(lie(16, 0xffffffffffffffffn))).toContain('the number of keys');
  });

  it('says what a file is that is not one', () => {
    const bytes = writeGguf({}, []);
    const version = (value: number, littleEndian = true): Uint8Array => {
      const changed = bytes.slice();
      new DataView(changed.buffer).setUint32(4, value, littleEndian);
      return changed;
    };
    expect(problemOf(new TextEncoder().encode('{"tiller": 1, "nodes": []}  '))).toBe('it does not begin with "GGUF"');
    expect(problemOf(version(1))).toContain('version 1');
    expect(problemOf(version(3, false))).toContain('big-endian');
    expect(problemOf(new Uint8Array(3))).toContain('3 bytes');
  });

  it('asks for more where the header goes on after the bytes at hand', () => {
    const bytes = writeGguf({ k: { type: 'string', value: 'a longer text than that' } }, [
      { name: 't', shape: [1], data: Float32Array.of(1) },
    ]);
    const whole = parseGguf(bytes, 'x.gguf');
    const headerEnd = [...whole.tensors.values()][0].start;
    for (let end = 0; end < bytes.length; end++) {
      const header = parseGgufHeader(bytes.subarray(0, end), bytes.length, 'x.gguf');
      if (end >= headerEnd) expect(header).toEqual(whole);
      else if (header) expect(header).toEqual(whole); // padding between header and data is not needed
    }
    expect(parseGgufHeader(bytes.subarray(0, 30), bytes.length, 'x.gguf')).toBeNull();
  });
});
