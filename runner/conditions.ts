import type { BoundGraph } from '../src/graph/document.ts';
import { readGraphFile } from './graph-file.ts';
import { usage, type Options } from './options.ts';

/** `--graph` and every `--factor` (1 where none is given); no factor without a graph. @throws usage, graph/*, file/unreadable */
export async function readConditions(
  options: Options,
): Promise<{ readonly graph: BoundGraph | null; readonly factors: readonly number[] }> {
  const factors = options.numbers('factor');
  const path = options.text('graph');
  if (path === null) {
    if (factors.length > 0) throw usage('--factor needs --graph');
    return { graph: null, factors };
  }
  if (new Set(factors).size !== factors.length) throw usage('--factor gives a number twice');
  return { graph: await readGraphFile(path), factors: factors.length === 0 ? [1] : factors };
}
