import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { goldenModel } from '../test/weights/golden-weights.ts';
import { onnxSample } from '../test/weights/onnx-sample.ts';
import { openModelOption } from './open-model.ts';
import type { Output } from './output.ts';

const folder = mkdtempSync(join(tmpdir(), 'tiller-'));
afterAll(() => rmSync(folder, { recursive: true }));

const golden = goldenModel('llama_gqa_tied');
const matrix = { kind: 'nbits', bits: 4, block: 32, zeros: false, half: true, named: 'default' } as const;
const { model } = onnxSample(golden.spec, (name) => golden.weights(name), { layout: 'builder', matrix });
mkdirSync(join(folder, 'onnx'));
writeFileSync(join(folder, 'config.json'), JSON.stringify(golden.config));
writeFileSync(join(folder, 'onnx', 'model.onnx'), model);
writeFileSync(join(folder, 'onnx', 'notes.txt'), '');

describe('--model', () => {
  it.each([
    ['the folder', ''],
    ['the file', 'onnx/model.onnx'],
  ])('takes %s of an ONNX export, as q4 where that keeps its integers', async (_, path) => {
    const notes: string[] = [];
    const output = { note: (text: string) => notes.push(text) } as unknown as Output;
    const { spec, quantization } = await openModelOption(join(folder, path), output, new AbortController().signal);
    expect(spec).toEqual(golden.spec);
    expect(quantization).toBe('q4');
    expect(notes.join()).toContain('head of the ONNX file');
  });

  it('refuses other files', async () => {
    const output = { note: () => undefined } as unknown as Output;
    const opened = openModelOption(join(folder, 'onnx/notes.txt'), output, new AbortController().signal);
    await expect(opened).rejects.toEqual(expect.objectContaining({ code: 'model/not-found' }));
  });
});
