import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FileAccess } from '../model/files.ts';
import { openFiles } from './files.ts';
import { openFolder } from './folder.ts';

const bytes = Uint8Array.from({ length: 300 }, (_, i) => i & 255);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tiller-folder-'));
  await writeFile(join(folder, 'a.bin'), bytes);
  await writeFile(join(folder, 'b.bin'), '');
});
afterAll(() => rm(folder, { recursive: true }));

const chosen = (path: string, content: Uint8Array<ArrayBuffer>) => ({ path, file: new File([content], path) });
const code = (name: string): unknown => expect.objectContaining({ code: name });

describe.each<[string, () => FileAccess]>([
  ['a folder', () => openFolder(folder)],
  ['chosen files', () => openFiles([chosen('a.bin', bytes), chosen('b.bin', new Uint8Array(0))])],
])('%s', (_, open) => {
  it('lists, measures and reads', async () => {
    const files = open();
    expect(await files.list?.()).toEqual(['a.bin', 'b.bin']);
    expect(await files.size('a.bin')).toBe(300);
    expect(await files.size('b.bin')).toBe(0);
    expect(await files.size('c.bin')).toBeNull();
    expect(await files.read('a.bin', 0, 300)).toEqual(bytes);
    expect(await files.read('a.bin', 17, 29)).toEqual(bytes.slice(17, 29));
    expect(await files.read('b.bin', 0, 0)).toEqual(new Uint8Array(0));
  });

  it('says when a file ends early, is missing, or the reading is stopped', async () => {
    const files = open();
    await expect(files.read('a.bin', 290, 301)).rejects.toEqual(code('model/file'));
    await expect(files.read('c.bin', 0, 1)).rejects.toEqual(code('file/unreadable'));
    await expect(files.read('a.bin', 0, 1, AbortSignal.abort())).rejects.toEqual(code('request/aborted'));
  });
});

it('a folder is never left', async () => {
  const files = openFolder(folder);
  for (const path of ['../a.bin', 'x/../../a.bin', '/etc/hostname']) {
    await expect(files.read(path, 0, 1)).rejects.toEqual(code('file/unreadable'));
    await expect(files.size(path)).rejects.toEqual(code('file/unreadable'));
  }
});

it('a folder that is not there is said so', async () => {
  await expect(openFolder(join(folder, 'none')).list?.()).rejects.toEqual(code('model/not-found'));
});

it('two chosen files of one name are refused', () => {
  expect(() => openFiles([chosen('a', bytes), chosen('a', bytes)])).toThrow(code('file/unreadable'));
});
