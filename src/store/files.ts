import { TillerError } from '../errors/error.ts';
import type { FileAccess } from '../model/files.ts';

/** A file that a person chose, with its place in the folder that was chosen with it. */
export interface ChosenFile {
  /** `model.gguf`, `onnx/model.onnx`. */
  readonly path: string;
  readonly file: File;
}

/**
 * Files that a person dropped on the page or chose in a dialog. Slices are read on demand.
 * Two files of one path are refused: it would be unclear which is meant.
 */
export function openFiles(files: Iterable<ChosenFile>, name = 'dropped files'): FileAccess {
  const byPath = new Map<string, File>();
  for (const { path, file } of files) {
    if (byPath.has(path)) throw new TillerError('file/unreadable', { file: path, problem: 'two of the chosen files have this name' });
    byPath.set(path, file);
  }
  return {
    name,
    list: () => Promise.resolve([...byPath.keys()].sort()),
    size: (path) => Promise.resolve(byPath.get(path)?.size ?? null),
    // A file that is changed on disk between two attempts is another one.
    tag: (path) => Promise.resolve(byPath.has(path) ? String(byPath.get(path)?.lastModified) : null),
    async read(path, start, end, signal) {
      if (signal?.aborted) throw new TillerError('request/aborted');
      const file = byPath.get(path);
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
