import type { JobResult } from '../../src/jobs/job-result.ts';
import type { Command } from '../command.ts';
import { exampleOptions, jobExamples, readExampleOption } from '../example-options.ts';
import { readGraphFile } from '../graph-file.ts';
import { jobOutcome, placeOptions } from '../job-verb.ts';
import { usage, type Options } from '../options.ts';
import type { Output } from '../output.ts';
import { readRecipe, recipeOptions } from '../recipe-options.ts';
import { showReport } from '../study-output.ts';

const unused = ['set', 'token', 'behaviour', 'layers', 'no-sweep'] as const;
const options = recipeOptions.filter((name) => !unused.some((other) => other === name));

async function run(given: Options, output: Output, signal: AbortSignal): Promise<void> {
  const result = await jobOutcome(given, output, signal, async () => {
    const graph = await readGraphFile(given.needed('graph'));
    const recipe = await readRecipe('graph', given);
    if (!recipe.sweep) throw usage('sweep measures');
    const examples = jobExamples(await readExampleOption(given, output));
    return { job: { kind: 'sweep', examples, recipe }, graph, context: () => null };
  });
  showSweep(result, output);
}

export function showSweep(result: JobResult, output: Output): void {
  if (result.kind !== 'sweep') throw new Error(`the result is of a ${result.kind}`);
  const { engine, graph, data, report } = result;
  output.result({ ...engine, graph, data, report });
  output.text(showReport(report));
}

export const sweepCommand: Command = {
  verb: 'sweep',
  summary: 'effect against damage of a graph over strengths and numbers of its places, on examples; chosen on validation rows, tested once',
  usage: 'sweep --model M --graph G.json --data FILE [--strengths A,B,...] [--counts K,L,...]',
  options: ['model', 'graph', ...exampleOptions, ...options, ...placeOptions],
  run,
};
