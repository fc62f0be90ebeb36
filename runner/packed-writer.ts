import { mkdir, open, rename, rm, statfs, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { packRows } from '../src/model/packed-rows.ts';
import { packedBytes, packedHeader, packedLayout, type PackedMatrix, type PackedOrigin } from '../src/model/packed-weights.ts';
import type { QuantizedRows } from '../src/model/quantize.ts';
import type { ModelSpec } from '../src/model/spec.ts';
import type { WeightSource } from '../src/model/weights.ts';
import { partOf, removeLeftovers } from './packed-files.ts';

/** Bytes that stay free on a disk that packed weights are written to. */
const SPARE_BYTES = 512 * 2 ** 20;

interface Progress {
  readonly matrix: PackedMatrix;
  readonly dataAt: number;
  readonly scalesAt: number;
  next: number;
  data: number;
  scales: number;
}

/**
 * Writes the rows that an engine packs while it loads, so that the weights are read and packed once. The file has its name only when it is
 * whole and on the disk: whatever happens before, nothing is there.
 */
export class PackedWriter {
  private readonly progress: ReadonlyMap<string, Progress>;
  /** Why nothing more is written. */
  private failure: string | null = null;

  private constructor(
    readonly path: string,
    readonly bytes: number,
    private readonly part: string,
    private readonly file: FileHandle,
    private readonly layout: readonly PackedMatrix[],
    private readonly origin: PackedOrigin,
    private readonly note: string,
  ) {
    let at = packedHeader(layout, origin, note, null).length;
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
    path: string,
    spec: ModelSpec,
    source: WeightSource,
    origin: PackedOrigin,
    note: string,
  ): Promise<PackedWriter | { readonly problem: string }> {
    const layout = packedLayout(spec, source, origin.quantization);
    const bytes = packedBytes(layout);
    const part = partOf(path);
    try {
      await mkdir(dirname(path), { recursive: true });
      await removeLeftovers(path);
      const { bavail, bsize } = await statfs(dirname(path));
      if (bavail * bsize < bytes + SPARE_BYTES) return { problem: 'the disk has too little room' };
      return new PackedWriter(path, bytes, part, await open(part, 'w'), layout, origin, note);
    } catch (error) {
      return { problem: reason(error) };
    }
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
      await writeAt(this.file, data, progress.dataAt + first * dataBytes);
      await writeAt(this.file, scaleView, progress.scalesAt + first * scaleBytes);
    } catch (error) {
      this.failure = reason(error);
      return;
    }
    progress.next = first + count;
    progress.data = crc32(data, progress.data);
    progress.scales = crc32(scaleView, progress.scales);
  }

  /** Gives the file its name. A reason where that could not be; the part is then gone. */
  async finish(): Promise<string | null> {
    const all = this.layout.map(({ name }) => this.progress.get(name));
    const missing = all.find((one) => one?.next !== one?.matrix.rows);
    if (missing && this.failure === null) this.failure = `${missing.matrix.name} was not read whole`;
    if (this.failure === null) {
      try {
        const sums = all.map((one) => ({ data: one?.data ?? 0, scales: one?.scales ?? 0 }));
        await writeAt(this.file, packedHeader(this.layout, this.origin, this.note, sums), 0);
        await this.file.sync();
        await this.file.close();
        await rename(this.part, this.path);
        await syncFolder(dirname(this.path));
        return null;
      } catch (error) {
        this.failure = reason(error);
      }
    }
    await this.discard();
    return this.failure;
  }

  /** Leaves nothing behind. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => undefined);
    await rm(this.part, { force: true });
  }
}

async function writeAt(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, Math.min(bytes.length - done, 2 ** 30), at + done);
    done += bytesWritten;
  }
}

/** The name itself is on the disk only when its folder is; systems that cannot sync a folder do without. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

const words: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk is full',
  EACCES: 'the folder cannot be written',
  EPERM: 'the folder cannot be written',
  EROFS: 'the folder cannot be written',
};
const reason = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return Object.hasOwn(words, code) ? words[code] : error instanceof Error ? error.message : String(error);
};
