import { beforeAll, describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { crc32 } from '../formats/crc32.ts';
import { openFolder } from '../store/folder.ts';
import { golden } from '../../test/cli.ts';
import { openModel, type ModelFiles } from './model.ts';
import { loadWithPacked, openPackedWeights, type CachedWeights } from './packed-cache.ts';
import { PackedReader } from './packed-reader.ts';
import type { PackedStore } from './packed-store.ts';
import { packedLayout, type PackedOrigin } from './packed-weights.ts';
import type { WeightSource } from './weights.ts';

/** A place for one file in memory, with room for so many bytes. */
class MemoryStore implements PackedStore {
  readonly name = 'memory';
  readonly hint = '';
  file: Uint8Array | null = null;
  /** What is being written. */
  part: Uint8Array | null = null;
  opened = 0;

  constructor(private readonly room = Infinity) {}

  open: PackedStore['open'] = () => {
    const { file } = this;
    if (file === null) return Promise.resolve(null);
    this.opened += 1;
    return Promise.resolve({
      size: file.length,
      read: (start, length) => Promise.resolve(new Uint8Array(file.slice(start, start + length))),
      close: () => Promise.resolve(void (this.opened -= 1)),
    });
  };

  create: PackedStore['create'] = (bytes) => {
    const part = new Uint8Array(2 * bytes);
    let size = 0;
    this.part = part;
    return Promise.resolve({
      write: (piece, at) => {
        if (at + piece.length > this.room) return Promise.reject(new Error('memory is full'));
        part.set(piece, at);
        size = Math.max(size, at + piece.length);
        return Promise.resolve();
      },
      keep: () => {
        [this.file, this.part] = [part.slice(0, size), null];
        return Promise.resolve();
      },
      discard: () => Promise.resolve(void (this.part = null)),
    });
  };

  remove: PackedStore['remove'] = () => Promise.resolve(void (this.file = null));
  reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));
}

let model: ModelFiles;
let origin: PackedOrigin;
beforeAll(async () => {
  model = await openModel(openFolder(golden('llama_gqa_tied')));
  const files = [{ name: 'model.safetensors', bytes: 12, sha256: 'ab' }];
  origin = { identity: model.source.identity, quantization: 'q4', files };
});

const note = 'moved by 3 %, “nearly nothing”';
const openIn = (store: PackedStore, from = origin, describe = () => Promise.resolve(note), anew = false): Promise<CachedWeights> =>
  openPackedWeights({ spec: model.spec, source: model.source, origin: from, stores: [store], describe, crc32, anew });

/** Reads every matrix as engines do: in order, some rows at a time. */
async function readAll(source: WeightSource, quantization: 'q8' | 'q4' = 'q4', step = 7): Promise<Uint8Array[]> {
  const out: Uint8Array[] = [];
  for (const { name, kind, rows } of packedLayout(model.spec, model.source, quantization)) {
    for (let first = 0; first < rows; first += step) {
      const packed = await source.packed?.(name, kind, first, Math.min(step, rows - first));
      if (!packed) throw new Error(`${name} is not packed`);
      out.push(packed.data, new Uint8Array(packed.scales.buffer, packed.scales.byteOffset, packed.scales.byteLength));
    }
  }
  return out;
}

async function packInto(store: PackedStore): Promise<Uint8Array[]> {
  const weights = await openIn(store);
  const rows = await readAll(weights.source);
  expect(await weights.finish()).toContain('are kept in memory');
  return rows;
}

describe('packed weights in a place of any kind', () => {
  it('are read back bit for bit, with what was said of them', async () => {
    const store = new MemoryStore();
    const rows = await packInto(store);
    const weights = await openIn(store, origin, () => Promise.reject(new Error('measured again')));
    expect(weights).toMatchObject({ reads: 'memory', note });
    expect(await readAll(weights.source)).toEqual(rows);
    expect(await weights.finish()).toBeNull();
    expect(store.opened).toBe(0);
  });

  it('that differ in any byte, or end early, are noticed', async () => {
    const store = new MemoryStore();
    await packInto(store);
    const whole = store.file ?? new Uint8Array(0);
    const layout = packedLayout(model.spec, model.source, 'q4');
    const isNoticed = async (bytes: Uint8Array): Promise<boolean> => {
      store.file = bytes;
      const reader = await PackedReader.open(store, layout, origin, crc32);
      if (reader === null) return false;
      if ('stale' in reader) return true;
      try {
        await readAll(reader.source(model.source), 'q4', 1000);
        return false;
      } catch (error) {
        return error instanceof TillerError && error.code === 'model/packed-damaged';
      } finally {
        await reader.close();
      }
    };
    expect(await isNoticed(whole)).toBe(false);
    const header = 8 + new DataView(whole.buffer, whole.byteOffset).getUint32(0, true);
    const missed: string[] = [];
    for (let at = 0; at < whole.length; at += at < header ? 1 : 997) {
      const bytes = whole.slice();
      bytes[at] ^= at % 2 === 0 ? 1 : 0x20;
      if (!(await isNoticed(bytes))) missed.push(`changed at ${at}`);
    }
    for (let length = 0; length < whole.length; length += 997)
      if (!(await isNoticed(whole.slice(0, length)))) missed.push(`ends at ${length}`);
    expect(missed).toEqual([]);
    expect(store.opened).toBe(0);
  });

  it.each<[string, (from: PackedOrigin) => PackedOrigin, string]>([
    ['other weights', (from) => ({ ...from, identity: 'other' }), 'the source has other weights now'],
    ['a file with another hash', (from) => ({ ...from, files: [{ name: 'model.safetensors', bytes: 12, sha256: 'ac' }] }), 'changed since'],
    ['another quantisation', (from) => ({ ...from, quantization: 'q8' }), 'changed since'],
  ])('of %s are removed and packed anew', async (_, change, reason) => {
    const store = new MemoryStore();
    await packInto(store);
    const before = store.file;
    const from = change(origin);
    const weights = await openIn(store, from);
    expect(weights.reads).toBeNull();
    expect(store.file).toBeNull();
    await readAll(weights.source, from.quantization);
    expect(await weights.finish()).toMatch(
      new RegExp(`^the packed weights in memory were removed: .*${reason}; packed weights .* are kept`),
    );
    expect(store.file).not.toEqual(before);
    expect((await openIn(store, from)).reads).toBe('memory');
  });

  it('of another version are packed anew', async () => {
    const store = new MemoryStore();
    await packInto(store);
    const text = new TextDecoder('latin1').decode(store.file ?? undefined);
    const at = text.indexOf('"packing":"') + '"packing":"'.length;
    if (store.file) store.file[at] += 1;
    const weights = await openIn(store);
    expect(weights.reads).toBeNull();
    await readAll(weights.source);
    expect(await weights.finish()).toContain('another version packed it');
  });

  it.each([0, 0.5, 0.999])('leave nothing where room ends after %d of them, and all rows come', async (part) => {
    const rows = await packInto(new MemoryStore());
    const whole = rows.reduce((sum, { length }) => sum + length, 0);
    const store = new MemoryStore(whole * part);
    const weights = await openIn(store);
    expect(await readAll(weights.source)).toEqual(rows);
    // The room is given back at once, not when the model is there.
    expect(store.part).toBeNull();
    expect(await weights.finish()).toBe('the packed weights were not kept: memory is full');
    expect(store).toMatchObject({ file: null, part: null });
  });

  it('that an engine does not ask for are not kept, and nothing is said', async () => {
    const store = new MemoryStore();
    const weights = await openIn(store);
    expect(await weights.finish()).toBeNull();
    expect(store).toMatchObject({ file: null, part: null });
  });
});

describe('loading with packed weights', () => {
  const load = (store: PackedStore, said: string[]): Promise<Uint8Array[]> =>
    loadWithPacked(
      (anew) => openIn(store, origin, undefined, anew),
      (source) => readAll(source),
      (text) => said.push(text),
    );

  it.each([
    ['and are removed', false],
    ['and cannot be removed', true],
  ])('goes on from the source where they are damaged %s', async (_, stuck) => {
    const store = new MemoryStore();
    const rows = await packInto(store);
    if (store.file) store.file[store.file.length - 5] ^= 4;
    if (stuck) store.remove = () => Promise.reject(new Error('it is in use'));
    const said: string[] = [];
    expect(await load(store, said)).toEqual(rows);
    expect(said).toEqual([
      note,
      'packed weights are read from memory',
      expect.stringMatching(/^The packed weights in memory are damaged: .* They are packed anew\.$/),
      expect.stringContaining('are kept in memory'),
    ]);
    expect(store.opened).toBe(0);
    said.length = 0;
    expect(await load(store, said)).toEqual(rows);
    expect(said).toEqual([note, 'packed weights are read from memory']);
  });

  it('leaves nothing behind when it fails', async () => {
    const store = new MemoryStore();
    const failing = loadWithPacked(
      (anew) => openIn(store, origin, undefined, anew),
      async (source) => {
        await source.packed?.(packedLayout(model.spec, model.source, 'q4')[0].name, 'q4', 0, 2);
        throw new TillerError('request/aborted');
      },
      () => undefined,
    );
    await expect(failing).rejects.toMatchObject({ code: 'request/aborted' });
    expect(store).toMatchObject({ file: null, part: null });
  });
});
