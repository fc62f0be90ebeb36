import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referenceEngine } from '../../test/conformance/engines.ts';
import { goldenRoot, loadModelFolder } from '../../test/conformance/golden.ts';
import type { Engine } from '../engine/engine.ts';
import type { BoundGraph } from '../graph/document.ts';
import { createTokenizer } from '../model/tokenizer.ts';
import { patchGraph, patchStudy, type PatchEffect, type PatchPlaceRef } from './patch-study.ts';
import { patchTokens, type PatchTokens } from './patch-texts.ts';

const folder = join(goldenRoot, 'real_stories260K', 'model');
const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown;
const tokenizer = createTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
let engine: Engine;
let tokens: PatchTokens;
let everyHead: PatchPlaceRef[];
let everyPosition: number[];

beforeAll(async () => {
  const { spec, source } = loadModelFolder(folder);
  engine = await referenceEngine.open(spec, source);
  tokens = patchTokens({ clean: 'One day he took', corrupted: 'One day she took', wanted: 'his', unwanted: 'her' }, tokenizer);
  const { layers, heads } = engine.model;
  everyHead = Array.from({ length: layers * heads }, (_, row) => ({ point: 'z', layer: Math.floor(row / heads), head: row % heads }));
  everyPosition = tokens.clean.map((_, at) => at);
});
afterAll(() => engine.dispose());

/** Logits of a prompt with a graph, and without. */
async function logits(ids: readonly number[], graph: BoundGraph | null): Promise<Float32Array> {
  const { sequences } = await engine.score({ sequences: [{ ids }], graph, logits: true });
  return sequences[0].logits ?? new Float32Array(0);
}

const largest = (a: Float32Array, b: Float32Array): number => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

describe('patching of several places', () => {
  it('changes nothing where a prompt is given its own activations', async () => {
    const { corrupted } = tokens;
    const layers: PatchPlaceRef[] = [0, 2].flatMap((layer) => [
      { point: 'resid_pre' as const, layer },
      { point: 'attn_out' as const, layer },
      { point: 'mlp_out' as const, layer },
    ]);
    const graph = await patchGraph(corrupted, everyPosition, [...everyHead, ...layers], { engine });
    expect(largest(await logits(corrupted, graph), await logits(corrupted, null))).toBeLessThan(1e-4);
  });

  it('gives the clean run where the stream at the first layer and every head are exchanged', async () => {
    const { clean, corrupted } = tokens;
    const graph = await patchGraph(clean, everyPosition, [{ point: 'resid_pre', layer: 0 }, ...everyHead], { engine });
    const patched = await logits(corrupted, graph);
    expect(largest(patched, await logits(clean, null))).toBeLessThan(1e-4);
    expect(largest(patched, await logits(corrupted, null))).toBeGreaterThan(0.1);
  });

  it('measures one place as the graph of that place does', async () => {
    const streamed: PatchEffect[] = [];
    const progress: number[] = [];
    const study = await patchStudy({ ...tokens, positions: 'all' }, ['z', 'resid_pre'], {
      engine,
      onEffects: (_, effects) => streamed.push(...effects),
      onProgress: ({ done, total }) => progress.push(done / total),
    });
    expect(progress.at(-1)).toBe(1);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(study.points.map(({ point, places }) => [point, places.length])).toEqual([
      ['z', everyHead.length],
      ['resid_pre', engine.model.layers],
    ]);
    expect(streamed).toHaveLength(everyHead.length + engine.model.layers);
    expect(study.points[1].places.find(({ layer }) => layer === 0)?.share).toBeCloseTo(1, 4);
    const [{ layer, head, difference, share }] = study.points[0].places;
    expect(streamed).toContainEqual({ layer, head, difference, share });
    const graph = await patchGraph(tokens.clean, study.positions, [{ point: 'z', layer, head }], { engine });
    const sequences = [tokens.wanted, tokens.unwanted].map((answer) => ({
      ids: [...tokens.corrupted, ...answer],
      promptLength: tokens.corrupted.length,
    }));
    const scores = await engine.score({ sequences, graph, positions: 'answer' });
    const [wanted, unwanted] = scores.sequences.map(({ edited }) => edited?.reduce((a, b) => a + b, 0) ?? NaN);
    expect(wanted - unwanted).toBeCloseTo(difference, 4);
    expect(scores.unmatched).toEqual([]);
  });

  it('refuses points that belong to no layer, and an empty choice of places', async () => {
    await expect(patchStudy({ ...tokens }, ['embed'], { engine })).rejects.toMatchObject({ code: 'eval/setting' });
    await expect(patchStudy({ ...tokens }, [], { engine })).rejects.toMatchObject({ code: 'eval/setting' });
    await expect(patchGraph(tokens.clean, [1], [], { engine })).rejects.toMatchObject({ code: 'eval/setting' });
  });
});
