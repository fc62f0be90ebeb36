import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadGoldenModel } from '../../test/conformance/golden.ts';
import type { CaptureRequest, Engine } from '../engine/engine.ts';
import { createReferenceEngine } from '../engine/reference/engine.ts';
import type { Reading } from '../examples/reading.ts';
import { resultsFolder } from '../store/results-folder.ts';
import { captureBatches } from './batches.ts';
import { captureReadings, type CaptureProgress } from './capture-readings.ts';
import { memoryResults } from './memory-results.ts';
import { partBytes, rowBytes } from './part-layout.ts';
import type { ResultStore } from './result-store.ts';

let engine: Engine;
const folders: string[] = [];
const folder = (): string => {
  folders.push(mkdtempSync(join(tmpdir(), 'tiller-captures-')));
  return folders[folders.length - 1];
};
beforeAll(async () => {
  const { spec, source } = loadGoldenModel('llama_gqa_tied');
  engine = await createReferenceEngine(spec, source, { now: () => 0 });
});
afterAll(() => folders.forEach((path) => rmSync(path, { recursive: true })));

const reading = (ids: readonly number[], position = ids.length - 1, example = 0): Reading => ({
  example, label: 1, group: '', pair: -1, ids, roles: ids.map(() => null), promptLength: ids.length, position,
}); // prettier-ignore
const code = (name: string): unknown => expect.objectContaining({ code: name });

/** 40 readings with common beginnings, two of them equal, one read before its end. */
function readings(): Reading[] {
  const vocab = engine.model.vocab;
  const texts = Array.from({ length: 38 }, (_, i) => [1, 5 + (i % 3), ...Array.from({ length: 1 + (i % 5) }, (_, k) => (7 * i + 3 * k) % vocab)]);
  return [...texts, texts[4], [...texts[9], 3, 4]].map((ids, i) => reading(ids, i === 39 ? texts[9].length : ids.length - 1, i));
} // prettier-ignore

/** The engine with an account of what it ran, and a signal that is set after some sequences. */
function counted(stopAfter = Infinity): { engine: Engine; ran: () => number; signal: AbortSignal } {
  const controller = new AbortController();
  let ran = 0;
  const capture = async (request: CaptureRequest): ReturnType<Engine['capture']> => {
    const result = await engine.capture(request);
    ran += request.sequences.length;
    if (ran >= stopAfter) controller.abort();
    return result;
  };
  return { engine: { ...engine, model: small(), capture }, ran: () => ran, signal: controller.signal };
}
/** As if layers were so wide that a part holds seven rows. */
const small = (): Engine['model'] => ({ ...engine.model, intermediate: Math.floor((32 * 2 ** 20) / (4 * engine.model.layers * 7)) });

const direct = async (list: readonly Reading[], point: 'z' | 'resid_post', layer: number): Promise<Float32Array> => {
  const sequences = list.map(({ ids, position }) => ({ ids: ids.slice(0, position + 1) }));
  const { arrays } = await engine.capture({ sequences, points: [{ point, layers: [layer] }], at: 'last' });
  return Float32Array.from(arrays.flatMap(({ data }) => [...data]));
};

describe('captures', () => {
  it('are what one run of the engine gives, in the order of the readings, by layer and by columns', async () => {
    const list = readings();
    const run = counted();
    const points = [{ point: 'z' as const }, { point: 'resid_post' as const, layers: [1] }];
    const { tables, notes, computed, reused } = await captureReadings({
      engine: run.engine,
      readings: list,
      points,
      store: memoryResults(),
    });
    expect([notes, computed, reused]).toEqual([[], 40, 0]);
    // Two of the forty texts are there twice as far as they are read.
    expect(run.ran()).toBe(captureBatches(list, small()).texts.length);
    expect(run.ran()).toBeLessThan(40);
    const { z, resid_post: resid } = tables;
    const { headDim, heads, layers } = engine.model;
    expect([z?.rows, z?.width, z?.layers]).toEqual([40, heads * headDim, Array.from({ length: layers }, (_, i) => i)]);
    for (let layer = 0; layer < layers; layer++) {
      const whole = await z!.layer(layer);
      expect(whole).toEqual(await direct(list, 'z', layer));
      for (const [from, to] of [[headDim, 2 * headDim], [0, 1], [headDim - 1, headDim + 2], [3, heads * headDim]]) {
        const part = await z!.layer(layer, [from, to]);
        for (let row = 0; row < 40; row++)
          expect(part.slice(row * (to - from), (row + 1) * (to - from))).toEqual(whole.slice(row * z!.width + from, row * z!.width + to));
      } // prettier-ignore
    }
    expect(await resid!.layer(1)).toEqual(await direct(list, 'resid_post', 1));
    await expect(resid!.layer(0)).rejects.toEqual(code('request/invalid'));
    await expect(z!.layer(0, [0, heads * headDim + 1])).rejects.toEqual(code('request/invalid'));
  });

  it('that were stopped go on where they were, and redo nothing', async () => {
    const list = readings();
    const store = resultsFolder(folder());
    const points = [{ point: 'z' as const }];
    const first = counted(14);
    await expect(captureReadings({ ...first, readings: list, points, store })).rejects.toEqual(code('request/aborted'));
    const kept = (await store.list('captures/')).length;
    expect(kept).toBeGreaterThan(0);
    const second = counted();
    const seen: CaptureProgress[] = [];
    const onProgress = (progress: CaptureProgress): void => void seen.push(progress);
    const { tables, reused, computed } = await captureReadings({ ...second, readings: list, points, store, onProgress });
    expect(second.ran()).toBe(captureBatches(list, small()).texts.length - 7 * kept);
    expect(reused).toBeGreaterThan(0);
    expect(reused + computed).toBe(40);
    expect(seen.at(-1)).toEqual({ done: 40, total: 40, reused });
    expect(seen.map(({ done }) => done)).toEqual(seen.map(({ done }) => done).sort((a, b) => a - b));
    const third = counted();
    const again = await captureReadings({ ...third, readings: list, points, store });
    expect([third.ran(), again.reused]).toEqual([0, 40]);
    expect(again.tables.z?.key).toBe(tables.z?.key);
    expect(await again.tables.z!.layer(1)).toEqual(await direct(list, 'z', 1));
    // Another point runs the texts again, and the first one's parts stay.
    const fourth = counted();
    await captureReadings({ ...fourth, readings: list, points: [...points, { point: 'resid_post' }], store });
    expect(fourth.ran()).toBe(captureBatches(list, small()).texts.length);
  });

  it('that are damaged are made again, and it is said', async () => {
    const list = readings();
    const path = folder();
    const store = resultsFolder(path);
    const points = [{ point: 'z' as const }];
    await captureReadings({ ...counted(), readings: list, points, store });
    const [one, two] = await store.list('captures/');
    const bytes = await store.read(one, 0, (await store.size(one))!);
    bytes[5] ^= 1;
    writeFileSync(join(path, one), bytes);
    writeFileSync(join(path, two), bytes.slice(0, 9));
    const run = counted();
    const { notes, tables } = await captureReadings({ ...run, readings: list, points, store });
    expect(notes).toHaveLength(2);
    expect(run.ran()).toBe(14);
    expect(await tables.z!.layer(0)).toEqual(await direct(list, 'z', 0));
  });

  it('of two runs at once on one folder are right in both', async () => {
    const list = readings();
    const path = folder();
    const both = [resultsFolder(path), resultsFolder(path)].map((store) =>
      captureReadings({ ...counted(), readings: list, points: [{ point: 'z' }], store }),
    );
    const expected = await direct(list, 'z', 1);
    for (const { tables } of await Promise.all(both)) expect(await tables.z!.layer(1)).toEqual(expected);
    const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
    expect(names.filter((name) => name.includes('unfinished'))).toEqual([]);
  });

  it('have a key that names model, texts, point and layers, and nothing else', async () => {
    const keyOf = async (list: Reading[], change: Partial<Engine['model']> = {}, layers?: number[]): Promise<string | undefined> => {
      const changed = { ...engine, model: { ...engine.model, ...change }, capture: (request: CaptureRequest) => engine.capture(request) };
      return (await captureReadings({ engine: changed, readings: list, points: [{ point: 'z', layers }], store: memoryResults() })).tables.z
        ?.key;
    };
    const list = [reading([1, 2, 3]), reading([1, 4])];
    const key = await keyOf(list);
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(await keyOf([{ ...list[1], label: 0, group: 'x' }, reading([1, 2, 3, 9], 2)])).toBe(key);
    const others = [keyOf([reading([1, 2, 3])]), keyOf(list, { identity: 'x' }), keyOf(list, { quantization: 'q8' }), keyOf(list, {}, [0])];
    expect(new Set([key, ...(await Promise.all(others))]).size).toBe(5);
  });

  it('refuse what cannot be captured before anything runs', async () => {
    const run = counted();
    const capture = (list: Reading[], points: { point: 'z'; layers?: number[] }[]): Promise<unknown> =>
      captureReadings({ ...run, readings: list, points, store: memoryResults() });
    await expect(capture([], [{ point: 'z' }])).rejects.toEqual(code('request/invalid'));
    await expect(capture([reading([1])], [])).rejects.toEqual(code('request/invalid'));
    await expect(capture([reading([1])], [{ point: 'z', layers: [99] }])).rejects.toEqual(code('request/invalid'));
    await expect(capture([reading([1])], [{ point: 'z' }, { point: 'z' }])).rejects.toEqual(code('request/invalid'));
    await expect(capture([reading([1, 2], 2)], [{ point: 'z' }])).rejects.toEqual(code('request/invalid'));
    const long = Array.from({ length: engine.model.limits.maxContext + 1 }, () => 1);
    await expect(capture([reading(long)], [{ point: 'z' }])).rejects.toEqual(code('request/context'));
    expect(run.ran()).toBe(0);
  });

  it('keep what was finished when there is no room for more', async () => {
    const inner = memoryResults();
    let room = 2;
    const { TillerError } = await import('../errors/error.ts');
    const store: ResultStore = {
      ...inner,
      write: async (name, bytes) => {
        if (room-- === 0) throw new TillerError('store/full', { needed: '1 byte' });
        await inner.write(name, bytes);
      },
    };
    const list = readings();
    await expect(captureReadings({ ...counted(), readings: list, points: [{ point: 'z' }], store })).rejects.toEqual(code('store/full'));
    expect(await inner.list('')).toHaveLength(2);
  });
});

describe('5,000 texts on all heads of a model of a billion weights', () => {
  it('are 655 MB in parts of at most 17 MB, and a layer of one head is small', () => {
    const model = { layers: 16, hidden: 2048, heads: 32, headDim: 64, intermediate: 8192 };
    const list = Array.from({ length: 5000 }, (_, i) => reading([1, ...Array.from({ length: 12 }, (_, k) => (i * 31 + k * k) % 30000), i]));
    const { batches, texts } = captureBatches(list, model);
    const layout = { layers: Array.from({ length: 16 }, (_, i) => i), width: 2048, block: 64 };
    expect(texts).toHaveLength(5000);
    expect(5000 * rowBytes(layout)).toBe(655_360_000);
    const sizes = batches.map(([start, end]) => partBytes(layout, end - start));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(17e6);
    expect(batches.at(-1)?.[1]).toBe(5000);
    // What a method holds at once: one layer of all heads.
    expect(4 * 5000 * layout.width).toBe(40_960_000);
  });
});
