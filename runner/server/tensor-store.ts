import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { fromLittleBytes } from '../../src/engine/remote/frames.ts';
import { TillerError } from '../../src/errors/error.ts';

const namePattern = /^[0-9a-f]{64}$/;
const refuse = (hash: string, problem: string): TillerError => new TillerError('runner/tensor', { hash: hash.slice(0, 64), problem });

/**
 * Tensors by the SHA-256 of their little-endian f32 values, one file each. What was used longest ago goes when there are too many bytes; a
 * client is then asked for it again.
 */
export class TensorStore {
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  private constructor(
    private readonly folder: string,
    private readonly limits: { readonly tensor: number; readonly tensors: number },
  ) {}

  /** Opens a folder, which is made where it is missing; what an interrupted upload left is removed. */
  static async open(folder: string, limits: { readonly tensor: number; readonly tensors: number }): Promise<TensorStore> {
    await mkdir(folder, { recursive: true });
    const store = new TensorStore(folder, limits);
    const found: { name: string; bytes: number; used: number }[] = [];
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      if (!namePattern.test(name)) {
        if (name.endsWith('.part')) await rm(path, { force: true });
        continue;
      }
      const { size, mtimeMs } = await stat(path);
      found.push({ name, bytes: size, used: mtimeMs });
    }
    // A Map keeps the order in which keys were added: least recently used first.
    for (const { name, bytes } of found.sort((a, b) => a.used - b.used)) store.#add(name, bytes);
    return store;
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(hash: string): boolean {
    return this.#sizes.has(hash);
  }

  #add(hash: string, bytes: number): void {
    this.#bytes += bytes - (this.#sizes.get(hash) ?? 0);
    this.#sizes.delete(hash);
    this.#sizes.set(hash, bytes);
  }

  #touch(hash: string): void {
    const bytes = this.#sizes.get(hash);
    if (bytes !== undefined) this.#add(hash, bytes);
  }

  /**
   * Stores what a stream brings, without holding it.
   * @returns its bytes
   * @throws runner/too-large, runner/tensor where the content is not what its name says
   */
  async put(hash: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const part = join(this.folder, `${randomUUID()}.part`);
    const file = await open(part, 'w');
    const sum = createHash('sha256');
    let bytes = 0;
    try {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        if (bytes > this.limits.tensor)
          throw new TillerError('runner/too-large', { what: 'the tensor, in bytes,', got: bytes, limit: this.limits.tensor });
        sum.update(chunk);
        await file.writeFile(chunk);
      }
      if (bytes === 0 || bytes % 4 !== 0) throw refuse(hash, `${bytes} bytes are no f32 values`);
      const got = sum.digest('hex');
      if (got !== hash) throw refuse(hash, `what was sent has the SHA-256 ${got}`);
      await file.close();
      await rename(part, join(this.folder, hash));
      this.#add(hash, bytes);
      await this.#shrink(hash);
      return bytes;
    } finally {
      await file.close().catch(() => undefined);
      await rm(part, { force: true });
    }
  }

  async #shrink(keep: string): Promise<void> {
    for (const [hash, bytes] of this.#sizes) {
      if (this.#bytes <= this.limits.tensors) return;
      if (hash === keep) continue;
      this.#sizes.delete(hash);
      this.#bytes -= bytes;
      await rm(join(this.folder, hash), { force: true });
    }
  }

  /** The values of a tensor. @throws runner/tensor where it is not there (any more) */
  async values(hash: string): Promise<Float32Array> {
    const bytes = this.has(hash) ? await readFile(join(this.folder, hash)).catch(() => null) : null;
    if (bytes === null) {
      this.#bytes -= this.#sizes.get(hash) ?? 0;
      this.#sizes.delete(hash);
      throw refuse(hash, 'the runner does not have it');
    }
    this.#touch(hash);
    const time = new Date();
    await utimes(join(this.folder, hash), time, time).catch(() => undefined);
    return fromLittleBytes(new Uint8Array(bytes));
  }

  /** The bytes of a tensor as a stream. @throws runner/tensor */
  read(hash: string): { readonly bytes: number; readonly stream: NodeJS.ReadableStream } {
    const bytes = this.#sizes.get(hash);
    if (bytes === undefined) throw refuse(hash, 'the runner does not have it');
    this.#touch(hash);
    return { bytes, stream: createReadStream(join(this.folder, hash)) };
  }
}
