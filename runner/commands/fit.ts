import { graphHash } from '../../src/graph/hash.ts';
import { readGraph } from '../../src/graph/vectors.ts';
import { fromBase64 } from '../../src/formats/base64.ts';
import type { JobResult } from '../../src/jobs/job-result.ts';
import { methodNamed, methods } from '../../src/methods/methods.ts';
import { readSettings } from '../../src/methods/settings.ts';
import type { Command } from '../command.ts';
import { exampleOptions, jobExamples, readExampleOption } from '../example-options.ts';
import { readFormats, writeFitFiles } from '../graph-output.ts';
import { jobOutcome, placeOptions } from '../job-verb.ts';
import { usage, type Options } from '../options.ts';
import type { Output } from '../output.ts';
import { readRecipe, recipeOptions } from '../recipe-options.ts';
import { overSeeds, showSeeds } from '../seeds.ts';
import { showReport } from '../study-output.ts';

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const [name] = options.words;
  if (name === undefined) throw usage(`fit needs a method: ${methods.map((method) => method.name).join(', ')}`);
  const method = methodNamed(name);
  const out = options.needed('out');
  const exports = readFormats(options.all('export'));
  const seeds = options.integer('seeds', 1, 1000) ?? 1;
  const result = await jobOutcome(options, output, signal, async () => {
    const recipe = await readRecipe(name, options);
    readSettings(method, recipe.settings);
    const examples = jobExamples(await readExampleOption(options, output));
    return { job: { kind: 'fit', examples, recipe, seeds }, graph: null, context: () => null };
  });
  await showFit(result, out, exports, output);
}

/** Writes the files of a fit and says what it found. */
export async function showFit(result: JobResult, out: string, exports: ReturnType<typeof readFormats>, output: Output): Promise<void> {
  if (result.kind !== 'fit') throw new Error(`the result is of a ${result.kind}`);
  const { safetensors, json } = result.graph;
  const graph = readGraph(json, safetensors === null ? null : fromBase64(safetensors));
  const { reports, data } = result;
  const [report] = reports;
  const several = reports.length > 1;
  const { identity } = result.engine.model as { identity: string };
  const made = { model: identity, report: report.method, data, seed: report.recipe.seed };
  const written = await writeFitFiles(out, graph, several ? { ...report, seeds: reports } : report, exports, made);
  const over = several ? { seeds: overSeeds(reports), reports } : {};
  output.result({ ...result.engine, graph: graphHash(graph.document), written, report, ...over });
  output.text(showReport(report));
  if (several) output.text(showSeeds(reports));
  output.text(`\nwritten: ${written.join(', ')}\n`);
}

export const fitCommand: Command = {
  verb: 'fit',
  summary:
    'fits an intervention from examples, measures effect and damage, writes graph, vectors and a report; goes on where it was stopped',
  usage: `fit METHOD --model M --data FILE --out G.json [--set NAME=VALUE ...], METHOD one of ${methods.map((method) => method.name).join(', ')}`,
  options: ['model', ...exampleOptions, 'out', 'export', ...recipeOptions, 'seeds', ...placeOptions],
  words: 1,
  more: () =>
    methods
      .map(({ name, what, settings }) => {
        const rows = Object.entries(settings).map(([key, row]) => `      ${key}=${JSON.stringify(row.default)}  ${row.doc}`);
        return `  ${name}: ${what}\n${rows.join('\n')}\n`;
      })
      .join(''),
  run,
};
