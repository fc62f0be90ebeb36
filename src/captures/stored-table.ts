import { TillerError } from '../errors/error.ts';
import type { PointName } from '../graph/points.ts';
import type { CaptureBatches } from './batches.ts';
import { blockRange, type PartLayout } from './part-layout.ts';
import type { ResultStore } from './result-store.ts';
import type { CaptureTable } from './table.ts';

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Little-endian f32 as they lie in a part. The bytes may be changed. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  if (!littleEndian) swap(aligned);
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2);
}

/** Turns the four bytes of every number round, in place: for machines of the other byte order. */
export function swap(bytes: Uint8Array): void {
  for (let i = 0; i + 3 < bytes.length; i += 4) bytes.subarray(i, i + 4).reverse();
}

export const partName = (key: string, batch: number): string => `captures/${key}/part-${String(batch).padStart(6, '0')}`;

/** A table over parts in a store: what is asked for is read, a part at a time, and nothing is kept. */
export function storedTable(
  store: ResultStore,
  key: string,
  point: PointName,
  layout: PartLayout,
  { rowOf, batches }: CaptureBatches,
): CaptureTable {
  const { layers, width, block } = layout;
  /** Readings by batch. */
  const members: number[][] = batches.map(() => []);
  const batchOf = new Int32Array(batches.length === 0 ? 0 : batches[batches.length - 1][1]);
  batches.forEach(([start, end], batch) => batchOf.fill(batch, start, end));
  rowOf.forEach((text, reading) => members[batchOf[text]].push(reading));
  return {
    point,
    layers,
    width,
    rows: rowOf.length,
    key,
    async layer(layer, columns = [0, width], signal) {
      const layerIndex = layers.indexOf(layer);
      const [from, to] = columns;
      if (layerIndex < 0) throw new TillerError('request/invalid', { problem: `layer ${layer} of "${point}" was not captured` });
      if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to > width || from >= to)
        throw new TillerError('request/invalid', { problem: `columns ${from} to ${to} are not within the width ${width}` });
      const [first, end] = [Math.floor(from / block), Math.ceil(to / block)];
      const count = to - from;
      const out = new Float32Array(rowOf.length * count);
      for (const [batch, [start, stop]] of batches.entries()) {
        if (signal?.aborted) throw new TillerError('request/aborted');
        const rows = stop - start;
        const range = blockRange(layout, rows, layerIndex, first, end);
        const values = floatsOf(await store.read(partName(key, batch), ...range));
        for (const reading of members[batch]) {
          const row = rowOf[reading] - start;
          for (let b = first; b < end; b++) {
            const at = (rows * (b - first) + row) * block;
            const [left, right] = [Math.max(from, b * block), Math.min(to, (b + 1) * block)];
            out.set(values.subarray(at + left - b * block, at + right - b * block), reading * count + left - from);
          }
        }
      }
      return out;
    },
  };
}
