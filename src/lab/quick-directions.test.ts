import { describe, expect, it } from 'vitest';
import type { CaptureRequest, Engine } from '../engine/engine.ts';
import type { ModelFiles } from '../model/model.ts';
import { headNorms } from './direction-maths.ts';
import { paletteRow } from './palette.ts';
import { makePalette, measureTypicalNorms } from './quick-directions.ts';

const layers = 2;
const heads = 3;
const headDim = 2;
const width = heads * headDim;
const signal = new AbortController().signal;

/** z of a token is a plain function of its id, layer and column, so that every mean can be done by hand. */
const z = (id: number, layer: number, column: number): number => (layer + 1) * (column === 3 ? 0 : id) * (column % 2 === 0 ? 1 : 0.5);

const engine = {
  model: { layers, heads, headDim },
  capture: ({ sequences, at }: CaptureRequest) =>
    Promise.resolve({
      arrays: sequences.flatMap(({ ids }, sequence) =>
        Array.from({ length: layers }, (_, layer) => {
          const positions = at === 'last' ? [ids.length - 1] : ids.map((_id, p) => p);
          const data = Float32Array.from(positions.flatMap((p) => Array.from({ length: width }, (_c, column) => z(ids[p], layer, column))));
          return { point: 'z', layer, sequence, positions, tokens: positions.map((p) => ids[p]), width, data };
        }),
      ),
      edits: [],
      unmatched: [],
    }),
} as unknown as Engine;
const files = { tokenizer: { encode: (text: string) => [...text].map((letter) => letter.charCodeAt(0) - 96) } } as unknown as ModelFiles;
const subject = { engine, files, label: 'memory' };
const ones = new Float32Array(layers * heads).fill(1);

describe('quick directions', () => {
  it('take the difference of the last tokens, means over lines, at the length of the head’s usual output', async () => {
    const typical = Float32Array.from([1, 2, 3, 4, 5, 6]);
    const palette = await makePalette(subject, { kind: 'texts', towards: 'abe\n\n xg ', away: 'ab' }, typical, null, signal);
    // Last tokens: e = 5 and g = 7, mean 6; b = 2; the difference of ids is 4.
    expect([...headNorms(palette.data, headDim)].map((norm) => Math.round(norm * 1e4) / 1e4)).toEqual([1, 2, 3, 4, 5, 6]);
    const [x, y] = paletteRow(palette, 1, 0);
    expect(y / x).toBeCloseTo(0.5, 5);
    expect(palette.relevance[0]).toBeCloseTo(Math.hypot(4, 2), 4);
    expect(palette.relevance[3]).toBeCloseTo(Math.hypot(8, 4) / 4, 4);
  });

  it('refuse empty texts with a sentence', async () => {
    await expect(makePalette(subject, { kind: 'texts', towards: ' \n', away: 'a' }, ones, null, signal)).rejects.toMatchObject({
      code: 'request/invalid',
    });
  });

  it('measure the usual length over all tokens but the first', async () => {
    const norms = await measureTypicalNorms(subject, signal);
    expect(norms).toHaveLength(layers * heads);
    expect(norms[3] / norms[0]).toBeCloseTo(2, 4);
  });

  it('make a random control as long, and as relevant, as what it replaces', async () => {
    const before = await makePalette(
      subject,
      { kind: 'texts', towards: 'c', away: 'a' },
      Float32Array.from([1, 2, 3, 4, 5, 6]),
      null,
      signal,
    );
    const control = await makePalette(subject, { kind: 'random', seed: 4 }, ones, before, signal);
    headNorms(control.data, headDim).forEach((norm, head) => expect(norm).toBeCloseTo(head + 1, 4));
    expect(control.relevance).toEqual(before.relevance);
    expect(control.data).not.toEqual(before.data);
  });
});
