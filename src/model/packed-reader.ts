import { TillerError } from '../errors/error.ts';
import type { Crc32 } from '../formats/crc32.ts';
import { headerLength, parseSafetensorsHeader, PREFIX_BYTES, safetensorsMetadata } from '../formats/safetensors.ts';
import type { PackedInput, PackedStore } from './packed-store.ts';
import { packedHeader, packedPlaces, type PackedMatrix, type PackedOrigin, type PackedPlace } from './packed-weights.ts';
import type { WeightSource } from './weights.ts';

/** How far a matrix has been read in a row from its beginning, and the checksums up to there. */
interface Progress {
  next: number;
  data: number;
  scales: number;
}

/** A file of packed weights, open for reading. */
export class PackedReader {
  private readonly matrices: ReadonlyMap<string, PackedMatrix>;
  private readonly progress = new Map<string, Progress>();

  private constructor(
    /** Where it lies, for messages. */
    private readonly name: string,
    /** What was said about the weights when they were packed. */
    readonly note: string,
    private readonly file: PackedInput,
    private readonly places: ReadonlyMap<string, PackedPlace>,
    layout: readonly PackedMatrix[],
    private readonly crc32: Crc32,
  ) {
    this.matrices = new Map(layout.map((matrix) => [matrix.name, matrix]));
  }

  /** Opens a packed file; a reason where it is of no use for this origin; null where there is none. */
  static async open(
    store: PackedStore,
    layout: readonly PackedMatrix[],
    origin: PackedOrigin,
    crc32: Crc32,
  ): Promise<PackedReader | { readonly stale: string } | null> {
    const file = await store.open();
    if (file === null) return null;
    try {
      const { name } = store;
      const { size } = file;
      const prefix = await readAt(file, 0, Math.min(PREFIX_BYTES, size), name);
      const header = await readAt(file, PREFIX_BYTES, headerLength(prefix, size, name), name);
      const entries = parseSafetensorsHeader(header, size, name);
      const found = packedPlaces(entries, safetensorsMetadata(header), layout, origin, crc32);
      if (!('stale' in found)) {
        const sums = layout.map((matrix) => found.places.get(matrix.name)?.crc ?? { data: 0, scales: 0 });
        // What reading alone does not notice: white space, digits that say the same.
        const whole = packedHeader(layout, origin, found.note, sums, crc32);
        const same = whole.length === PREFIX_BYTES + header.length && header.every((byte, i) => byte === whole[PREFIX_BYTES + i]);
        if (same) return new PackedReader(name, found.note, file, found.places, layout, crc32);
      }
      await file.close();
      return 'stale' in found ? found : { stale: 'its header is damaged' };
    } catch (error) {
      await file.close();
      if (error instanceof TillerError && (error.code === 'model/file' || error.code === 'model/packed-damaged'))
        return { stale: 'it is damaged, or was not finished' };
      throw error;
    }
  }

  /** The source, with its matrices packed. What is read in order is compared with its checksum. Throws model/packed-damaged. */
  source(inner: WeightSource): WeightSource {
    return {
      tensors: inner.tensors,
      identity: inner.identity,
      read: (name, start, end, signal) => inner.read(name, start, end, signal),
      packed: async (name, kind, first, count, signal) => {
        const matrix = this.matrices.get(name);
        const place = this.places.get(name);
        if (matrix?.kind !== kind || !place) return null;
        if (signal?.aborted) throw new TillerError('request/aborted');
        const { dataBytes, scaleBytes } = matrix;
        const data = await readAt(this.file, place.data.start + first * dataBytes, count * dataBytes, this.name);
        const scales = await readAt(this.file, place.scales.start + first * scaleBytes, count * scaleBytes, this.name);
        this.check(matrix, place, first, count, data, scales);
        return { data, scales: new Uint16Array(scales.buffer) };
      },
    };
  }

  private check(matrix: PackedMatrix, place: PackedPlace, first: number, count: number, data: Uint8Array, scales: Uint8Array): void {
    const before = first === 0 ? { next: 0, data: 0, scales: 0 } : this.progress.get(matrix.name);
    if (before?.next !== first) return;
    const now = { next: first + count, data: this.crc32(data, before.data), scales: this.crc32(scales, before.scales) };
    this.progress.set(matrix.name, now);
    if (now.next === matrix.rows && (now.data !== place.crc.data || now.scales !== place.crc.scales))
      throw new TillerError('model/packed-damaged', { file: this.name, name: matrix.name });
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

/** Exactly these bytes. @throws model/packed-damaged */
async function readAt(file: PackedInput, start: number, length: number, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await file.read(start, length);
  if (bytes.length !== length) throw new TillerError('model/packed-damaged', { file: name, name: 'its end' });
  return bytes;
}
