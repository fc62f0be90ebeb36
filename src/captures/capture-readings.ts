import { sha256 } from '@noble/hashes/sha2.js';
import type { CaptureArray, Engine } from '../engine/engine.ts';
import { TillerError } from '../errors/error.ts';
import type { Reading } from '../examples/reading.ts';
import { pointRow, type PointName } from '../graph/points.ts';
import { captureBatches, type CaptureBatches } from './batches.ts';
import { captureKey, textsHash } from './capture-key.ts';
import { cellOf, HASH_BYTES, partBytes, type PartLayout } from './part-layout.ts';
import type { ResultStore } from './result-store.ts';
import { partName, storedTable, swap } from './stored-table.ts';
import type { CaptureTable } from './table.ts';

export interface CaptureProgress {
  /** Readings whose activations are there. */
  readonly done: number;
  readonly total: number;
  /** Readings of `done` that an earlier run had left in the store. */
  readonly reused: number;
}

export interface CaptureReadingsRequest {
  readonly engine: Pick<Engine, 'model' | 'capture'>;
  readonly readings: readonly Reading[];
  /** Several points are captured in one pass; `layers` absent: all of them. */
  readonly points: readonly { readonly point: PointName; readonly layers?: readonly number[] }[];
  readonly store: ResultStore;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CaptureProgress) => void;
}

export interface CapturedReadings {
  readonly tables: Readonly<Partial<Record<PointName, CaptureTable>>>;
  /** Readings that the engine ran for, with those that share their text, and readings found in the store. */
  readonly computed: number;
  readonly reused: number;
  /** Plain sentences: parts that were damaged and made again. */
  readonly notes: readonly string[];
}

interface Wanted {
  readonly point: PointName;
  readonly key: string;
  readonly layout: PartLayout;
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * Activations at the read token of every reading. Texts run in batches, equal ones once; every batch is one part a point in the store,
 * written whole. A part that is there is not made again, so a run that was stopped or killed goes on where it was, and a second
 * process on the same store does no harm. About one part of every point is in memory at a time.
 * @throws request/invalid (no readings, unknown points), request/context, request/aborted, store/full, device/*
 */
export async function captureReadings(request: CaptureReadingsRequest): Promise<CapturedReadings> {
  const { engine, readings, store, signal } = request;
  const { model } = engine;
  checkReadings(readings, model.limits.maxContext);
  const batches = captureBatches(readings, model);
  const texts = textsHash(batches.texts);
  const wanted = request.points.map(({ point, layers }) => wantedOf(engine, texts, point, layers));
  if (new Set(wanted.map(({ point }) => point)).size < wanted.length) invalid('a point is asked for twice');
  if (wanted.length === 0) invalid('no points to capture');
  const weight = readingsPerBatch(batches);
  const notes: string[] = [];
  const progress = { done: 0, total: readings.length, reused: 0 };
  const report = (more = 0): void => request.onProgress?.({ ...progress, done: progress.done + more });
  for (const [batch, [start, end]] of batches.batches.entries()) {
    throwIfAborted(signal);
    const missing: Wanted[] = [];
    for (const each of wanted) if (!(await isThere(store, each, batch, end - start, notes))) missing.push(each);
    if (missing.length > 0) {
      const sequences = batches.texts.slice(start, end).map(({ ids }) => ({ ids, promptLength: ids.length }));
      const { arrays } = await engine.capture({
        sequences,
        points: missing.map(({ point, layout }) => ({ point, ...(layout.layers[0] >= 0 && { layers: layout.layers }) })),
        at: 'last',
        signal,
        onProgress: (done, total) => report(Math.floor((weight[batch] * done) / Math.max(1, total))),
      });
      throwIfAborted(signal);
      for (const each of missing) await store.write(partName(each.key, batch), partOf(each, arrays, end - start));
    } else progress.reused += weight[batch];
    progress.done += weight[batch];
    report();
  }
  const tables = wanted.map(({ point, key, layout }) => [point, storedTable(store, key, point, layout, batches)] as const);
  return {
    tables: Object.fromEntries(tables),
    computed: progress.total - progress.reused,
    reused: progress.reused,
    notes,
  };
}

function invalid(problem: string): never {
  throw new TillerError('request/invalid', { problem });
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new TillerError('request/aborted');
}

function checkReadings(readings: readonly Reading[], limit: number): void {
  if (readings.length === 0) invalid('there are no readings to capture');
  for (const [i, { ids, position }] of readings.entries()) {
    if (!Number.isInteger(position) || position < 0 || position >= ids.length)
      invalid(`reading ${i} has ${ids.length} tokens and reads position ${position}`);
    if (position >= limit) throw new TillerError('request/context', { needed: position + 1, limit });
  }
}

function wantedOf(
  { model }: Pick<Engine, 'model'>,
  texts: string,
  point: PointName,
  given: readonly number[] | undefined,
): Wanted {
  const width = model.points.find((row) => row.point === point)?.width;
  if (width === undefined) return invalid(`the model has no point "${String(point)}"`);
  const { perLayer, heads } = pointRow(point);
  if (!perLayer && given !== undefined) invalid(`the point "${point}" has no layers`);
  const all = Array.from({ length: model.layers }, (_, layer) => layer);
  const layers = perLayer ? [...new Set(given ?? all)].sort((a, b) => a - b) : [-1];
  const wrong = layers.find((layer) => perLayer && !all.includes(layer));
  if (wrong !== undefined) invalid(`the model has no layer ${wrong}`);
  if (layers.length === 0) invalid(`no layers of "${point}" are asked for`);
  const layout = { layers, width, block: heads === null ? width : model.headDim };
  return { point, key: captureKey(model, texts, point, layers), layout };
} // prettier-ignore

/** Readings by batch: those of one text count each. */
function readingsPerBatch({ rowOf, batches, texts }: CaptureBatches): number[] {
  const counts = new Int32Array(texts.length);
  rowOf.forEach((text) => counts[text]++);
  return batches.map(([start, end]) => counts.subarray(start, end).reduce((sum, count) => sum + count, 0));
}

/** Whether a part is in the store, whole and as it was written. One that is not is said. */
async function isThere(store: ResultStore, { point, key, layout }: Wanted, batch: number, rows: number, notes: string[]): Promise<boolean> {
  const name = partName(key, batch);
  const size = await store.size(name);
  if (size === null) return false;
  const expected = partBytes(layout, rows);
  if (size === expected) {
    const bytes = await store.read(name, 0, size);
    const stored = bytes.subarray(size - HASH_BYTES);
    if (sha256(bytes.subarray(0, size - HASH_BYTES)).every((byte, i) => byte === stored[i])) return true;
  }
  notes.push(`Part ${batch + 1} of the activations of ${point} in the store was damaged and is computed again.`);
  return false;
}

/** The arrays of one point as a part. */
function partOf({ point, layout }: Wanted, arrays: readonly CaptureArray[], rows: number): Uint8Array {
  const { layers, width, block } = layout;
  const bytes = new Uint8Array(partBytes(layout, rows));
  const values = new Float32Array(bytes.buffer, 0, rows * layers.length * width);
  let filled = 0;
  for (const array of arrays) {
    if (array.point !== point) continue;
    const layerIndex = layers.indexOf(array.layer);
    if (layerIndex < 0 || array.data.length !== width)
      throw new TillerError('internal', { problem: `the engine gave ${array.data.length} numbers of ${point}, expected ${width}` });
    for (let b = 0; b * block < width; b++)
      values.set(array.data.subarray(b * block, (b + 1) * block), cellOf(layout, rows, layerIndex, b, array.sequence));
    filled++;
  }
  if (filled !== rows * layers.length)
    throw new TillerError('internal', { problem: `the engine gave ${filled} arrays of ${point}, expected ${rows * layers.length}` });
  const data = bytes.subarray(0, bytes.length - HASH_BYTES);
  if (!littleEndian) swap(data);
  bytes.set(sha256(data), bytes.length - HASH_BYTES);
  return bytes;
}
