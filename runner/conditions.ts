import type { Condition } from '../src/evals/condition.ts';
import { readGraphFile } from './graph-file.ts';
import { usage, type Options } from './options.ts';

/** A condition of the command line: a graph of a file at a factor. */
export interface FactorCondition extends Condition {
  readonly factor: number;
}

/** `--graph` at every `--factor` (1 where none is given); nothing without a graph. @throws usage, graph/*, file/unreadable */
export async function readConditions(options: Options): Promise<FactorCondition[]> {
  const factors = options.numbers('factor');
  const path = options.text('graph');
  if (path === null) {
    if (factors.length > 0) throw usage('--factor needs --graph');
    return [];
  }
  if (new Set(factors).size !== factors.length) throw usage('--factor gives a number twice');
  const graph = await readGraphFile(path);
  return (factors.length === 0 ? [1] : factors).map((factor) => ({
    name: `x${factor}`,
    factor,
    graph,
    lane: { name: `x${factor}`, strengths: { '*': factor } },
  }));
}
