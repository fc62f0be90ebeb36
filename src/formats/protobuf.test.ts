import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesField, numberField, varint } from '../../test/weights/onnx-writer.ts';
import { TillerError } from '../errors/error.ts';
import { ProtoFile, type ProtoField } from './protobuf.ts';

const open = (bytes: Uint8Array): ProtoFile => new ProtoFile((start, end) => Promise.resolve(bytes.slice(start, end)), bytes.length, 'x');

async function all(file: ProtoFile): Promise<ProtoField[]> {
  const out: ProtoField[] = [];
  for await (const field of file.fields(0, file.size)) out.push(field);
  return out;
}

describe('the wire format', () => {
  it('gives numbers of every size back, negative ones too', async () => {
    await fc.assert(
      fc.asyncProperty(fc.maxSafeInteger(), fc.integer({ min: 1, max: 536_870_911 }), async (value, number) => {
        const file = open(numberField(number, value));
        const [field] = await all(file);
        expect(field.number).toBe(number);
        expect(await file.integer(field)).toBe(value);
      }),
    );
  });

  it('gives fields and texts back in order', async () => {
    const file = open(Uint8Array.from([...bytesField(1, 'ä'), ...numberField(2, 300), ...bytesField(3, '')]));
    const fields = await all(file);
    expect(fields.map(({ number, wire }) => [number, wire])).toEqual([
      [1, 2],
      [2, 0],
      [3, 2],
    ]);
    expect(await file.text(fields[0], 10)).toBe('ä');
    expect(await file.text(fields[2], 10)).toBe('');
    await expect(file.text(fields[0], 1)).rejects.toEqual(expect.objectContaining({ code: 'model/file' }));
  });

  it('reads packed and single lists alike, and stops at a limit', async () => {
    const packed = Uint8Array.from([1, 2, 300].flatMap((value) => [...varint(value)]));
    const file = open(Uint8Array.from([...bytesField(1, packed), ...numberField(1, 7)]));
    const values: number[] = [];
    for (const field of await all(file)) await file.integers(field, values, 4);
    expect(values).toEqual([1, 2, 300, 7]);
    const [first] = await all(file);
    await expect(file.integers(first, [], 2)).rejects.toEqual(expect.objectContaining({ code: 'model/file' }));
  });

  it('walks over what it does not read: a long field costs one small read', async () => {
    const head = Uint8Array.from([...varint(1 * 8 + 2), ...varint(2 ** 40)]);
    const reads: number[] = [];
    const size = head.length + 2 ** 40;
    const file = new ProtoFile(
      (start, end) => {
        reads.push(end - start);
        const out = new Uint8Array(end - start);
        if (start < head.length) out.set(head.subarray(start));
        return Promise.resolve(out);
      },
      size,
      'x',
    );
    expect((await all(file)).map(({ end }) => end)).toEqual([size]);
    expect(reads.reduce((sum, one) => sum + one, 0)).toBeLessThan(2 ** 20);
  });

  it('throws nothing but model/file, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
        try {
          for (const { start, end } of await all(open(bytes))) expect(end).toBeGreaterThanOrEqual(start);
        } catch (error) {
          if (!(error instanceof TillerError) || error.code !== 'model/file') throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});
