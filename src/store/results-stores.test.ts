import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { memoryResults } from '../captures/memory-results.ts';
import type { ResultStore } from '../captures/result-store.ts';
import { resultsFolder } from './results-folder.ts';
import { resultsOpfs } from './results-opfs.ts';

const path = mkdtempSync(join(tmpdir(), 'tiller-results-'));
afterAll(() => rmSync(path, { recursive: true }));
const code = (name: string): unknown => expect.objectContaining({ code: name });
const missing = (): DOMException => new DOMException('not there', 'NotFoundError');

/** As much of the origin's private file system as the store uses. `room`: bytes that may be written in all. */
class Folder {
  readonly kind = 'directory';
  readonly #entries = new Map<string, Folder | { readonly kind: 'file'; bytes: Uint8Array<ArrayBuffer> }>();
  readonly #disk: { room: number };
  readonly #streams: boolean;
  constructor(disk: { room: number }, streams: boolean) {
    this.#disk = disk;
    this.#streams = streams;
  }
  async getDirectoryHandle(name: string, { create = false } = {}): Promise<Folder> {
    let entry = this.#entries.get(name);
    if (entry === undefined && create) this.#entries.set(name, (entry = new Folder(this.#disk, this.#streams)));
    if (!(entry instanceof Folder)) throw missing();
    return entry;
  }
  async getFileHandle(name: string, { create = false } = {}): Promise<object> {
    let entry = this.#entries.get(name);
    if (entry === undefined && create) this.#entries.set(name, (entry = { kind: 'file', bytes: new Uint8Array() }));
    if (entry === undefined || entry instanceof Folder) throw missing();
    const file = entry;
    const disk = this.#disk;
    let next = new Uint8Array();
    const spend = (bytes: Uint8Array): void => {
      if (bytes.length > disk.room) throw new DOMException('full', 'QuotaExceededError');
      disk.room -= bytes.length;
    };
    const stream = {
      write: async (bytes: Uint8Array) => (spend(bytes), (next = bytes.slice())),
      close: async () => void (file.bytes = next),
      abort: async () => undefined,
    };
    const access = {
      truncate: (size: number) => void (file.bytes = file.bytes.slice(0, size)),
      write: (bytes: Uint8Array) => (spend(bytes), (file.bytes = bytes.slice()), bytes.length),
      flush: () => undefined,
      close: () => undefined,
    };
    const own = { kind: 'file', getFile: async () => new Blob([file.bytes]), createSyncAccessHandle: async () => access };
    return this.#streams ? { ...own, createWritable: async () => stream } : own;
  }
  async removeEntry(name: string): Promise<void> {
    if (!this.#entries.delete(name)) throw missing();
  }
  async *entries(): AsyncGenerator<[string, { kind: string }]> {
    yield* this.#entries;
  }
}

const opfs = (streams: boolean, room = Infinity): ResultStore => {
  const top = new Folder({ room }, streams);
  return resultsOpfs(async () => top as unknown as FileSystemDirectoryHandle);
};

describe.each<[string, () => ResultStore]>([
  ['in memory', memoryResults],
  ['in a folder', () => resultsFolder(join(path, 'results'))],
  ['in the browser', () => opfs(true)],
  ['in a browser without streams', () => opfs(false)],
])('results %s', (_, make) => {
  it('are whole or absent, replaced as a whole, listed and removed', async () => {
    const store = make();
    expect(await store.list('')).toEqual([]);
    expect(await store.size('a/one')).toBeNull();
    await expect(store.read('a/one', 0, 1)).rejects.toEqual(code('file/unreadable'));
    await store.write('a/one', Uint8Array.of(1, 2, 3, 4));
    await store.write('a/b/two', Uint8Array.of(5));
    await store.write('c', new Uint8Array());
    expect(await store.size('a/one')).toBe(4);
    expect(await store.size('a')).toBeNull();
    expect(await store.read('a/one', 1, 3)).toEqual(Uint8Array.of(2, 3));
    await expect(store.read('a/one', 1, 5)).rejects.toEqual(code('file/unreadable'));
    expect(await store.list('a/')).toEqual(['a/b/two', 'a/one']);
    await store.write('a/one', Uint8Array.of(9));
    expect(await store.read('a/one', 0, 1)).toEqual(Uint8Array.of(9));
    expect(await store.size('a/one')).toBe(1);
    await store.remove('a/one');
    await store.remove('a/one');
    expect(await store.list('')).toEqual(['a/b/two', 'c']);
  });
});

describe('names of results', () => {
  it.each(['../x', '/x', 'a//b', '.hidden', 'a/..', '', 'a\\b', 'ä'])('%j is refused', async (name) => {
    await expect(resultsFolder(path).write(name, Uint8Array.of(1))).rejects.toThrow('not the name');
    await expect(opfs(true).write(name, Uint8Array.of(1))).rejects.toThrow('not the name');
  });
});

describe('what stands in the way', () => {
  it('is named: a full store, a file where a folder should be', async () => {
    for (const streams of [true, false]) {
      const store = opfs(streams, 5);
      await store.write('a', Uint8Array.of(1, 2, 3));
      await expect(store.write('b', Uint8Array.of(1, 2, 3))).rejects.toEqual(code('store/full'));
      expect(await store.read('a', 0, 3)).toEqual(Uint8Array.of(1, 2, 3));
      expect(await store.list('')).toEqual(['a']);
    }
    writeFileSync(join(path, 'file'), 'x');
    await expect(resultsFolder(join(path, 'file')).write('a', Uint8Array.of(1))).rejects.toEqual(code('file/unwritable'));
    expect(await resultsFolder(join(path, 'nowhere')).list('')).toEqual([]);
  });
});
