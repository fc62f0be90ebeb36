import type { Crc32 } from '../formats/crc32.ts';
import { packRows } from './packed-rows.ts';
import type { PackedOutput, PackedStore } from './packed-store.ts';
import { packedBytes, packedHeader, type PackedMatrix, type PackedOrigin } from './packed-weights.ts';
import type { QuantizedRows } from './quantize.ts';
import type { WeightSource } from './weights.ts';

interface Progress {
  readonly matrix: PackedMatrix;
  readonly dataAt: number;
  readonly scalesAt: number;
  next: number;
  data: number;
  scales: number;
}

/**
 * Writes the rows that an engine packs while it loads, so that the weights are read and packed once. The header comes last: without it a
 * file is none, whatever happened before.
 */
export class PackedWriter {
  private readonly progress: ReadonlyMap<string, Progress>;
  /** Why nothing more is written. */
  private failure: string | null = null;

  private constructor(
    private readonly store: PackedStore,
    private readonly file: PackedOutput,
    private readonly layout: readonly PackedMatrix[],
    private readonly origin: PackedOrigin,
    private readonly note: string,
    private readonly crc32: Crc32,
  ) {
    let at = packedHeader(layout, origin, note, null, crc32).length;
    const progress = new Map<string, Progress>();
    for (const matrix of layout) {
      const scalesAt = at + matrix.rows * matrix.dataBytes;
      progress.set(matrix.name, { matrix, dataAt: at, scalesAt, next: 0, data: 0, scales: 0 });
      at = scalesAt + matrix.rows * matrix.scaleBytes;
    }
    this.progress = progress;
  }

  /** Begins a file, or says why it cannot be written there. */
  static async begin(
    store: PackedStore,
    layout: readonly PackedMatrix[],
    origin: PackedOrigin,
    note: string,
    crc32: Crc32,
  ): Promise<PackedWriter | { readonly problem: string }> {
    const file = await store.create(packedBytes(layout));
    return 'problem' in file ? file : new PackedWriter(store, file, layout, origin, note, crc32);
  }

  /** Whether anything was asked for: an engine may keep all its weights in another way. */
  get used(): boolean {
    return [...this.progress.values()].some(({ next }) => next > 0) || this.failure !== null;
  }

  /** The source, whose rows are packed here and kept. */
  source(inner: WeightSource): WeightSource {
    return {
      tensors: inner.tensors,
      identity: inner.identity,
      read: (name, start, end, signal) => inner.read(name, start, end, signal),
      packed: async (name, kind, first, count, signal) => {
        const info = inner.tensors.get(name);
        const progress = this.progress.get(name);
        if (!info || progress?.matrix.kind !== kind) return null;
        const rows = await packRows(inner, info, kind, first, count, signal);
        await this.keep(progress, first, count, rows);
        return rows;
      },
    };
  }

  private async keep(progress: Progress, first: number, count: number, { data, scales }: QuantizedRows): Promise<void> {
    if (this.failure !== null || first !== progress.next) return;
    const { dataBytes, scaleBytes } = progress.matrix;
    const scaleView = new Uint8Array(scales.buffer, scales.byteOffset, scales.byteLength);
    try {
      await this.file.write(data, progress.dataAt + first * dataBytes);
      await this.file.write(scaleView, progress.scalesAt + first * scaleBytes);
    } catch (error) {
      this.failure ??= this.store.reason(error);
      // What lies there is of no use, and whoever shares the disk may need the room now.
      await this.file.discard();
      return;
    }
    progress.next = first + count;
    progress.data = this.crc32(data, progress.data);
    progress.scales = this.crc32(scaleView, progress.scales);
  }

  /** Writes the header and keeps the file. A reason where that could not be; nothing of it is left then. */
  async finish(): Promise<string | null> {
    const all = this.layout.map(({ name }) => this.progress.get(name));
    const missing = all.find((one) => one?.next !== one?.matrix.rows);
    if (missing && this.failure === null) this.failure = `${missing.matrix.name} was not read whole`;
    if (this.failure === null) {
      try {
        const sums = all.map((one) => ({ data: one?.data ?? 0, scales: one?.scales ?? 0 }));
        await this.file.write(packedHeader(this.layout, this.origin, this.note, sums, this.crc32), 0);
        await this.file.keep();
        return null;
      } catch (error) {
        this.failure = this.store.reason(error);
      }
    }
    await this.file.discard();
    return this.failure;
  }

  /** Leaves nothing behind. */
  discard(): Promise<void> {
    return this.file.discard();
  }
}
