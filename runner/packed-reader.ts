import { open, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { TillerError } from '../src/errors/error.ts';
import { headerLength, parseSafetensorsHeader, PREFIX_BYTES, safetensorsMetadata } from '../src/formats/safetensors.ts';
import { packedLayout, packedPlaces, type PackedMatrix, type PackedOrigin, type PackedPlace } from '../src/model/packed-weights.ts';
import type { ModelSpec } from '../src/model/spec.ts';
import type { WeightSource } from '../src/model/weights.ts';

/** How far a matrix has been read in a row from its beginning, and the checksums up to there. */
interface Progress {
  next: number;
  data: number;
  scales: number;
}

/** Packed weights on disk, open for reading. */
export class PackedReader {
  private readonly matrices: ReadonlyMap<string, PackedMatrix>;
  private readonly progress = new Map<string, Progress>();

  private constructor(
    readonly path: string,
    /** What was said about the weights when they were packed. */
    readonly note: string,
    private readonly file: FileHandle,
    private readonly places: ReadonlyMap<string, PackedPlace>,
    layout: readonly PackedMatrix[],
  ) {
    this.matrices = new Map(layout.map((matrix) => [matrix.name, matrix]));
  }

  /** Opens a packed file; a reason where it is of no use for this origin; null where there is none. */
  static async open(
    path: string,
    spec: ModelSpec,
    source: WeightSource,
    origin: PackedOrigin,
  ): Promise<PackedReader | { readonly stale: string } | null> {
    const file = await open(path, 'r').catch(() => null);
    if (file === null) return null;
    try {
      const { size } = await file.stat();
      const prefix = await readAt(file, 0, Math.min(PREFIX_BYTES, size), path);
      const header = await readAt(file, PREFIX_BYTES, headerLength(prefix, size, path), path);
      const entries = parseSafetensorsHeader(header, size, path);
      const layout = packedLayout(spec, source, origin.quantization);
      const found = packedPlaces(entries, safetensorsMetadata(header), layout, origin);
      if (!('stale' in found)) return new PackedReader(path, found.note, file, found.places, layout);
      await file.close();
      return found;
    } catch (error) {
      await file.close();
      if (error instanceof TillerError && error.code === 'model/file') return { stale: 'it is damaged' };
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
        const data = await readAt(this.file, place.data.start + first * dataBytes, count * dataBytes, this.path);
        const scales = await readAt(this.file, place.scales.start + first * scaleBytes, count * scaleBytes, this.path);
        this.check(matrix, place, first, count, data, scales);
        return { data, scales: new Uint16Array(scales.buffer) };
      },
    };
  }

  private check(matrix: PackedMatrix, place: PackedPlace, first: number, count: number, data: Uint8Array, scales: Uint8Array): void {
    const before = first === 0 ? { next: 0, data: 0, scales: 0 } : this.progress.get(matrix.name);
    if (before?.next !== first) return;
    const now = { next: first + count, data: crc32(data, before.data), scales: crc32(scales, before.scales) };
    this.progress.set(matrix.name, now);
    if (now.next === matrix.rows && (now.data !== place.crc.data || now.scales !== place.crc.scales))
      throw new TillerError('model/packed-damaged', { file: this.path, name: matrix.name });
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

/** Exactly these bytes, in a buffer of their own. @throws model/packed-damaged */
async function readAt(file: FileHandle, start: number, length: number, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const { bytesRead } = await file.read(out, at, Math.min(length - at, 2 ** 30), start + at);
    if (bytesRead === 0) throw new TillerError('model/packed-damaged', { file: path, name: 'its end' });
    at += bytesRead;
  }
  return out;
}
