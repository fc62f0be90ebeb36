import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { safetensorsHeader } from '../src/formats/safetensors.ts';
import { unwritable } from './files.ts';

/**
 * A safetensors file of f32 arrays that grows array by array, so that results of any size never sit whole in memory. Arrays are spooled
 * beside the file, and the file appears under its name only when it is complete: a run that fails leaves what was there before.
 */
export class TensorFile {
  readonly path: string;
  readonly tensors: { readonly name: string; readonly shape: readonly number[]; readonly dtype: 'F32' }[] = [];
  readonly #spool: FileHandle;
  readonly #spoolPath: string;

  private constructor(path: string, spoolPath: string, spool: FileHandle) {
    this.path = path;
    this.#spoolPath = spoolPath;
    this.#spool = spool;
  }

  /** Opened before the work starts, so that a folder that cannot be written to is known then. @throws file/unwritable */
  static async create(path: string): Promise<TensorFile> {
    const spoolPath = `${path}.${process.pid}.part`;
    try {
      return new TensorFile(path, spoolPath, await open(spoolPath, 'wx+'));
    } catch (cause) {
      throw unwritable(path, cause);
    }
  }

  async add(name: string, shape: readonly number[], data: Float32Array): Promise<void> {
    this.tensors.push({ name, shape, dtype: 'F32' });
    try {
      await this.#spool.appendFile(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    } catch (cause) {
      throw unwritable(this.path, cause);
    }
  }

  async finish(metadata: Readonly<Record<string, string>>): Promise<void> {
    const whole = `${this.#spoolPath}.whole`;
    try {
      const out = await open(whole, 'w');
      try {
        await out.appendFile(safetensorsHeader(this.tensors, metadata));
        const chunk = new Uint8Array(1 << 24);
        let at = 0;
        for (;;) {
          const { bytesRead } = await this.#spool.read(chunk, 0, chunk.length, at);
          if (bytesRead === 0) break;
          at += bytesRead;
          await out.appendFile(chunk.subarray(0, bytesRead));
        }
      } finally {
        await out.close();
      }
      await rename(whole, this.path);
    } catch (cause) {
      await rm(whole, { force: true });
      throw unwritable(this.path, cause);
    } finally {
      await this.discard();
    }
  }

  /** Leaves nothing behind. Harmless after `finish`. */
  async discard(): Promise<void> {
    await this.#spool.close();
    await rm(this.#spoolPath, { force: true });
  }
}
