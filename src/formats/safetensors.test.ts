import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { decodeF32, headerLength, parseSafetensors, parseSafetensorsHeader, tensorF32, writeSafetensors } from './safetensors.ts';

/** A file from a header text and data; the length prefix may be made to lie. */
function file(header: string | Uint8Array, data = 0, claimed?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

function refusal(bytes: Uint8Array): string {
  try {
    parseSafetensors(bytes, 'm.safetensors');
  } catch (error) {
    expect(error).toBeInstanceOf(TillerError);
    expect((error as TillerError).code).toBe('model/file');
    expect((error as TillerError).details.file).toBe('m.safetensors');
    return (error as TillerError).message;
  }
  throw new Error('the file was accepted');
}

const tensor = (more: Record<string, unknown> = {}): string =>
  JSON.stringify({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...more } });

describe('safetensors', () => {
  it('reads what it writes', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.string({ unit: 'grapheme' }), fc.array(fc.nat(3), { maxLength: 3 }), fc.boolean()), {
          selector: ([name]) => name,
          maxLength: 6,
        }),
        (specs) => {
          const tensors = specs
            .filter(([name]) => name !== '__metadata__')
            .map(([name, shape, float], i) => {
              const length = shape.reduce((a, b) => a * b, 1);
              const values = Array.from({ length }, (_, k) => i * 100 + k);
              return { name, shape, data: float ? Float32Array.from(values) : Int32Array.from(values) };
            });
          const bytes = writeSafetensors(tensors, { made: 'here' });
          const entries = parseSafetensors(bytes, 'x');
          expect(entries.size).toBe(tensors.length);
          for (const { name, shape, data } of tensors) {
            const entry = entries.get(name)!;
            expect(entry.shape).toEqual(shape);
            expect([...tensorF32(bytes, entry)]).toEqual([...data]);
          }
        },
      ),
    );
  });

  it('never fails with anything but its own error, whatever the bytes', () => {
    const good = writeSafetensors([
      { name: 'a', shape: [2, 3], data: new Float32Array(6) },
      { name: 'b', shape: [4], data: new Float32Array(4) },
    ]);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }), fc.nat(good.length), (changes, length) => {
        const bytes = good.slice(0, length);
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        try {
          for (const entry of parseSafetensors(bytes, 'm.safetensors').values()) {
            expect(entry.start).toBeLessThanOrEqual(entry.end);
            expect(entry.end).toBeLessThanOrEqual(bytes.length);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(TillerError);
        }
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(refusal(bytes)).toContain('m.safetensors');
      }),
    );
  });

  it('accepts an empty list of tensors and scalars', () => {
    expect(parseSafetensors(file('{}'), 'x').size).toBe(0);
    const scalar = file('{"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', 4);
    expect(parseSafetensors(scalar, 'x').get('s')!.shape).toEqual([]);
  });

  it.each<[string, Uint8Array, string]>([
    ['too short', new Uint8Array(7), 'too few'],
    ['a header longer than the file', file('{}', 0, 3n), 'claims 3 bytes'],
    ['a header of over 100 MB', file('{}', 0, 100_000_001n), 'more than'],
    ['a header length beyond 2^53', file('{}', 0, 2n ** 63n), 'more than'],
    ['text that is not UTF-8', file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), 'UTF-8'],
    ['no JSON', file('{"a"'), 'not JSON'],
    ['an array', file('[]'), 'start with'],
    ['leading white space', file(' {}'), 'start with'],
    ['deep JSON', file(`{"a":${'['.repeat(100000)}`), 'deeper'],
    ['a name twice', file(`{${tensor().slice(1, -1)},${tensor().slice(1, -1)}}`, 8), 'twice'],
    ['a name twice, once escaped', file(`{${tensor().slice(1, -1)},${tensor().slice(1, -1).replace('"a"', '"\\u0061"')}}`, 8), 'twice'],
    ['a tensor that is a number', file('{"a":1}'), 'other than an object'],
    ['an unknown dtype', file(tensor({ dtype: 'F31' }), 8), 'dtype'],
    ['a dtype of the prototype', file(tensor({ dtype: 'constructor' }), 8), 'dtype'],
    ['an unknown key', file(tensor({ stride: [1] }), 8), 'unknown key'],
    ['a negative length', file(tensor({ shape: [-2] }), 8), 'list of counts'],
    ['a fractional length', file(tensor({ shape: [0.5] }), 8), 'list of counts'],
    ['a huge length', file('{"a":{"dtype":"F32","shape":[1e400],"data_offsets":[0,8]}}', 8), 'list of counts'],
    ['a product that overflows', file(tensor({ shape: [2 ** 40, 2 ** 40] }), 8), 'beyond all sizes'],
    ['a product that overflows to zero', file(tensor({ shape: [2 ** 40, 2 ** 40, 0] }), 8), 'beyond all sizes'],
    ['too many axes', file(tensor({ shape: Array(33).fill(1) }), 8), 'list of counts'],
    ['one offset', file(tensor({ data_offsets: [0] }), 8), 'two counts'],
    ['offsets as text', file(tensor({ data_offsets: ['0', '8'] }), 8), 'two counts'],
    ['an end before the start', file(tensor({ data_offsets: [8, 0] }), 8), 'before it starts'],
    ['an end beyond the file', file(tensor({ shape: [4], data_offsets: [0, 16] }), 8), 'the file has'],
    ['a shape that needs more', file(tensor({ shape: [3] }), 8), 'needs 12'],
    ['bytes after the last tensor', file(tensor(), 9), 'tensors end'],
    ['bytes before the first tensor', file(tensor({ data_offsets: [4, 12] }), 12), 'no tensor'],
    [
      'an overlap',
      file('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}', 6),
      'overlaps',
    ],
    ['metadata that is not text', file('{"__metadata__":{"a":1}}'), '__metadata__'],
  ])('refuses %s', (_, bytes, problem) => {
    expect(refusal(bytes)).toContain(problem);
  });

  it('reads a header alone, against the size of the whole file', () => {
    const bytes = file(tensor(), 8);
    const length = headerLength(bytes.subarray(0, 8), bytes.length, 'x');
    const entries = parseSafetensorsHeader(bytes.subarray(8, 8 + length), bytes.length, 'x');
    expect(entries.get('a')).toEqual({ dtype: 'F32', shape: [2], start: bytes.length - 8, end: bytes.length });
    expect(() => parseSafetensorsHeader(bytes.subarray(8, 8 + length), bytes.length - 1, 'x')).toThrow(TillerError);
  });

  it('decodes every dtype, at odd addresses too', () => {
    const bytes = (values: ArrayBufferView): Uint8Array => {
      const odd = new Uint8Array(values.byteLength + 1).subarray(1);
      odd.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      return odd;
    };
    const cases: [string, ArrayBufferView, number[]][] = [
      ['F32', Float32Array.of(1.5, -2), [1.5, -2]],
      ['F64', Float64Array.of(1.5, -2), [1.5, -2]],
      ['F16', Uint16Array.of(0x3e00, 0xc000), [1.5, -2]],
      ['BF16', Uint16Array.of(0x3fc0, 0xc000), [1.5, -2]],
      ['I64', BigInt64Array.of(3n, -2n), [3, -2]],
      ['U64', BigUint64Array.of(3n), [3]],
      ['I32', Int32Array.of(3, -2), [3, -2]],
      ['U32', Uint32Array.of(4294967295), [4294967296]],
      ['I16', Int16Array.of(-3), [-3]],
      ['U16', Uint16Array.of(65535), [65535]],
      ['I8', Int8Array.of(-3, 3), [-3, 3]],
      ['U8', Uint8Array.of(253), [253]],
      ['BOOL', Uint8Array.of(1, 0), [1, 0]],
    ];
    for (const [dtype, values, expected] of cases) expect([...decodeF32(bytes(values), dtype, 'x')]).toEqual(expected);
    expect(() => decodeF32(new Uint8Array(3), 'F32', 'x')).toThrow('not a whole number');
    expect(() => decodeF32(new Uint8Array(4), 'F8_E4M3', 'x')).toThrow('not read');
  });
});
