import type { Sampling, SequenceInput } from '../src/engine/engine.ts';
import type { BoundGraph } from '../src/graph/document.ts';
import { readGraphFile } from './graph-file.ts';
import { usage, type Options } from './options.ts';
import type { Output } from './output.ts';
import { readTokenFile } from './token-file.ts';

/** @throws usage */
export const readSampling = (options: Options): Required<Sampling> => ({
  temperature: options.number('temperature', 0) ?? 0,
  topK: options.integer('top-k', 0) ?? 0,
  topP: options.number('top-p', Number.MIN_VALUE, 1) ?? 1,
  seed: options.integer('seed', 0, 0xffffffff) ?? 0,
});

export interface SequenceRequest {
  readonly sequences: readonly SequenceInput[];
  readonly graph: BoundGraph | null;
  readonly factor: number;
  /** Tokens of the longest sequence. */
  readonly longest: number;
}

/** What `score` and `capture` share: --tokens, --graph and at most one --factor. @throws usage, file/unreadable, graph/* */
export async function readSequenceRequest(options: Options): Promise<SequenceRequest> {
  const factors = options.numbers('factor');
  if (factors.length > 1) throw usage('--factor is given twice; only generate has several lanes');
  const graphPath = options.text('graph');
  if (factors.length > 0 && graphPath === null) throw usage('--factor needs --graph');
  const sequences = await readTokenFile(options.needed('tokens'));
  const graph = graphPath === null ? null : await readGraphFile(graphPath);
  return { sequences, graph, factor: factors[0] ?? 1, longest: Math.max(...sequences.map(({ ids }) => ids.length)) };
}

/** An edit that touched nothing is never silent. */
export function noteUnmatched(ids: Iterable<string>, output: Output): void {
  for (const id of ids) output.note(`0 tokens matched the edit "${id}"`);
}
