import { TillerError } from '../src/errors/error.ts';
import type { BoundGraph } from '../src/graph/document.ts';
import { readGraph } from '../src/graph/vectors.ts';
import { readBytes, readBytesIfThere } from './files.ts';

/** A graph from `G.json` and, where it is there, `G.safetensors`. @throws graph/*, file/unreadable, model/file */
export async function readGraphFile(path: string): Promise<BoundGraph> {
  const bytes = await readBytes(path);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TillerError('file/unreadable', { file: path, problem: 'it is not UTF-8 text' }, { cause });
  }
  const stem = path.replace(/\.json$/i, '');
  return readGraph(text, await readBytesIfThere(`${stem}.safetensors`));
}
