import type { ChosenFile } from '../store/files.ts';

/** Files that came by a dialog or were dropped, with the folder they lay in. A folder that holds everything is taken off the paths. */
export interface Chosen {
  /** Name of that folder, of the only file or of the file whose parts they are; null for loose files. */
  readonly name: string | null;
  readonly files: readonly ChosenFile[];
}

/** More files than any model has: somebody chose the wrong folder. */
export const CHOSEN_LIMIT = 5000;

export function chosenFiles(files: readonly ChosenFile[]): Chosen {
  const tops = new Set(files.map(({ path }) => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '')));
  const [top] = tops;
  // `onnx/` alone is not the model's folder: config.json lies beside it.
  if (tops.size === 1 && top !== '' && top !== 'onnx') {
    return { name: top, files: files.map(({ path, file }) => ({ path: path.slice(top.length + 1), file })) };
  }
  const names = new Set(files.map(({ path }) => path.replace(/-\d{5}-of-\d{5}(?=\.gguf$)/i, '')));
  const [only] = names;
  return { name: names.size === 1 ? only : null, files };
}

/** From `<input type="file">`, with or without folders. */
export const filesOfInput = (list: Iterable<File>): Chosen =>
  chosenFiles([...list].map((file) => ({ path: file.webkitRelativePath || file.name, file })));

/** From a drop: files, and the contents of folders. Must be called while the drop is handled. */
export async function filesOfDrop(data: DataTransfer): Promise<Chosen> {
  // Entries are only there until the handler gives way; so they are taken before the first await.
  const entries = [...data.items].map((item) => (item.kind === 'file' ? item.webkitGetAsEntry() : null));
  const files: ChosenFile[] = [];
  for (const entry of entries) if (entry) await collect(entry, '', files);
  return chosenFiles(files);
}

async function collect(entry: FileSystemEntry, folder: string, out: ChosenFile[]): Promise<void> {
  if (out.length > CHOSEN_LIMIT) return;
  const path = folder + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    out.push({ path, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  // A reader gives a hundred entries at a time, and none at the end.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) await collect(one, `${path}/`, out);
  }
}
