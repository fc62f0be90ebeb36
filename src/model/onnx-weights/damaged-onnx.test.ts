import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goldenModel, memoryFiles } from '../../../test/weights/golden-weights.ts';
import { largestArray } from '../../../test/weights/largest-array.ts';
import { onnxSample, type SampleOptions } from '../../../test/weights/onnx-sample.ts';
import { bytesField, numberField, varint } from '../../../test/weights/onnx-writer.ts';
import { readEnds } from '../../../test/weights/read-ends.ts';
import { TillerError } from '../../errors/error.ts';
import { openModel, type ModelFiles } from '../model.ts';

const golden = goldenModel('llama_gqa_tied');
const options: SampleOptions = {
  layout: 'builder',
  external: 'weights.bin',
  matrix: { kind: 'nbits', bits: 4, block: 32, zeros: true, half: true, named: 'default' },
};
const sample = onnxSample(golden.spec, (name) => golden.weights(name), options);
const config = JSON.stringify(golden.config);
const open = (model: Uint8Array, data: Uint8Array | null = sample.data): Promise<ModelFiles> =>
  openModel(memoryFiles({ 'config.json': config, 'model.onnx': model, ...(data ? { 'weights.bin': data } : {}) }));
const problem = (part: string): unknown =>
  expect.objectContaining({ code: 'model/file', message: expect.stringContaining(part) as string });

/** The sample with one text of its protobuf replaced by another of the same length. */
function replaced(from: string, to: string): Uint8Array {
  if (from.length !== to.length) throw new Error('lengths differ');
  const text = Buffer.from(sample.model).toString('latin1');
  if (!text.includes(from)) throw new Error(`the sample has no ${from}`);
  return Uint8Array.from(Buffer.from(text.replace(from, to), 'latin1'));
}

const join = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));
const message = (tensor: Uint8Array): Uint8Array => bytesField(7, bytesField(5, tensor));

describe('ONNX files that are damaged or lie', () => {
  it('opens when nothing is wrong', async () => {
    await expect(open(sample.model)).resolves.toBeDefined();
  });

  it.each([
    ['a file that is cut', () => open(sample.model.subarray(0, 500)), 'after the message'],
    ['no protobuf at all', () => open(new TextEncoder().encode('hello, this is a text')), 'wire type'],
    ['nothing', () => open(new Uint8Array(0)), 'no graph'],
    ['external data that are missing', () => open(sample.model, null), 'not there'],
    ['external data that are cut', () => open(sample.model, sample.data.subarray(0, 1000)), 'the file has 1000'],
    ['a path upwards', () => open(replaced('weights.bin', '../evil.bin')), 'not a file beside'],
    ['an absolute path', () => open(replaced('weights.bin', '/etc/passwd')), 'not a file beside'],
    ['a path with a drive', () => open(replaced('weights.bin', 'C:\\evil.bin')), 'not a file beside'],
    ['an operator that is not known in its place', () => open(replaced('GroupQueryAttention', 'GroupQueryAttentioX')), 'attentions'],
    ['a length beyond all sizes', () => open(join(varint(7 * 8 + 2), varint(2n ** 63n - 1n))), 'after the message'],
    ['a shape beyond all sizes', () => open(message(join(numberField(1, 2 ** 45), numberField(2, 1), bytesField(8, 'x')))), 'shape'],
    ['a negative shape', () => open(message(join(numberField(1, -4), numberField(2, 1), bytesField(8, 'x')))), 'shape'],
    [
      'fewer bytes than a shape needs',
      () => open(message(join(numberField(1, 1000), numberField(2, 1), bytesField(8, 'x'), bytesField(9, new Uint8Array(8))))),
      'needs 4000',
    ],
  ] as const)('refuses %s', async (_, act, part) => {
    await expect(act()).rejects.toEqual(problem(part));
  });

  it('refuses weights that overlap in the file of external data', async () => {
    // Offsets are texts: moving one tensor onto its neighbour keeps the length of the message.
    const text = Buffer.from(sample.model).toString('latin1');
    const offset = /offset..(\d{5})/s.exec(text);
    if (!offset) throw new Error('the sample has no offset of five digits');
    const moved = String(Number(offset[1]) - 64).padStart(5, '0');
    const model = Uint8Array.from(Buffer.from(text.replace(offset[0], offset[0].replace(offset[1], moved)), 'latin1'));
    await expect(open(model)).rejects.toEqual(problem('overlap'));
  });

  it('says which count contradicts config.json', async () => {
    const files = memoryFiles({
      'config.json': JSON.stringify({ ...golden.config, num_hidden_layers: 2 }),
      'model.onnx': sample.model,
      'weights.bin': sample.data,
    });
    await expect(openModel(files)).rejects.toEqual(problem('3 attentions'));
  });

  it('throws nothing but its own errors and makes nothing larger than its files, whatever bytes change', { timeout: 120_000 }, async () => {
    const change = fc.record({ at: fc.nat(sample.model.length - 1), to: fc.nat(255) });
    const damage = fc.record({
      changes: fc.array(change, { minLength: 1, maxLength: 6 }),
      cut: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(sample.model.length) }),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ changes, cut }) => {
        const model = sample.model.slice(0, cut ?? sample.model.length);
        for (const { at, to } of changes) if (at < model.length) model[at] = to;
        const largest = await largestArray(async () => {
          const opened = await open(model).catch((error: unknown) => {
            if (!(error instanceof TillerError) || error.code === 'internal') throw error;
          });
          // What opens lies in its files to its last byte.
          if (opened) await readEnds(opened.source);
        });
        expect(largest).toBeLessThanOrEqual(sample.model.length + sample.data.length + 2 ** 20);
      }),
      { numRuns: 150 },
    );
  });
});
