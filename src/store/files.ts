import { TillerError } from '../errors/error.ts';
import type { FileAccess } from '../model/files.ts';

/**
 * Files that a person dropped on the page or chose in a dialog, by their names without folders. Slices are read on demand.
 * Two files of one name are refused: it would be unclear which is meant.
 */
export function openFiles(files: Iterable<File>, name = 'dropped files'): FileAccess {
  const byName = new Map<string, File>();
  for (const file of files) {
    if (byName.has(file.name))
      throw new TillerError('file/unreadable', { file: file.name, problem: 'two of the chosen files have this name' });
    byName.set(file.name, file);
  }
  return {
    name,
    list: () => Promise.resolve([...byName.keys()].sort()),
    size: (path) => Promise.resolve(byName.get(path)?.size ?? null),
    async read(path, start, end, signal) {
      if (signal?.aborted) throw new TillerError('request/aborted');
      const file = byName.get(path);
      if (!file) throw new TillerError('file/unreadable', { file: path, problem: 'it is not among the chosen files' });
      if (end > file.size) throw new TillerError('model/file', { file: path, problem: `it ends at byte ${file.size}, expected ${end}` });
      let bytes: Uint8Array;
      try {
        bytes = new Uint8Array(await file.slice(start, end).arrayBuffer());
      } catch (cause) {
        const problem = cause instanceof Error ? cause.message : String(cause);
        throw new TillerError('file/unreadable', { file: path, problem }, { cause });
      }
      if (bytes.length !== end - start) throw new TillerError('model/file', { file: path, problem: 'it changed while it was being read' });
      return bytes;
    },
  };
}
