import { runFit, type FitRun } from '../../src/fit/run-fit.ts';
import { graphHash } from '../../src/graph/hash.ts';
import { methodNamed, methods } from '../../src/methods/methods.ts';
import { readSettings } from '../../src/methods/settings.ts';
import { engineOptions, type Command } from '../command.ts';
import { exampleOptions, readExampleOption } from '../example-options.ts';
import { readFormats, writeFitFiles } from '../graph-output.ts';
import { engineChoice, engineDocument, openEngine } from '../open-engine.ts';
import { openModelOption } from '../open-model.ts';
import { usage, type Options } from '../options.ts';
import type { Output } from '../output.ts';
import { tokenizerOf } from '../prompts.ts';
import { readRecipe, recipeOptions } from '../recipe-options.ts';
import { resultsOption } from '../results.ts';
import { overSeeds, showSeeds } from '../seeds.ts';
import { fitEvents, showReport } from '../study-output.ts';
import { version } from '../version.ts';

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const [name] = options.words;
  if (name === undefined) throw usage(`fit needs a method: ${methods.map((method) => method.name).join(', ')}`);
  const method = methodNamed(name);
  const model = options.needed('model');
  const out = options.needed('out');
  const exports = readFormats(options.all('export'));
  const choice = engineChoice(options);
  const seeds = options.integer('seeds', 1, 1000) ?? 1;
  const recipe = await readRecipe(name, options);
  readSettings(method, recipe.settings);
  const set = await readExampleOption(options, output);
  const files = await openModelOption(model, output, signal);
  const tokenizer = tokenizerOf(files);
  const engine = await openEngine(files, choice, null, output, signal);
  try {
    const runs: FitRun[] = [];
    for (let seed = recipe.seed; seed < recipe.seed + seeds; seed += 1) {
      if (seeds > 1) output.note(`seed ${seed}`);
      runs.push(
        await runFit({
          engine,
          tokenizer,
          set,
          recipe: { ...recipe, seed },
          results: resultsOption(options),
          version: version(),
          made: new Date().toISOString(),
          signal,
          onEvent: fitEvents(output),
        }),
      );
    }
    const [{ graph, report }] = runs;
    const reports = runs.map((one) => one.report);
    const made = { model: engine.model.identity, report: report.method, data: set.sha256, seed: recipe.seed };
    const written = await writeFitFiles(out, graph, seeds > 1 ? { ...report, seeds: reports } : report, exports, made);
    const over = seeds > 1 ? { seeds: overSeeds(reports), reports } : {};
    output.result({ ...engineDocument(engine, files), graph: graphHash(graph.document), written, report, ...over });
    output.text(showReport(report));
    if (seeds > 1) output.text(showSeeds(reports));
    output.text(`\nwritten: ${written.join(', ')}\n`);
  } finally {
    await engine.dispose();
  }
}

export const fitCommand: Command = {
  verb: 'fit',
  summary:
    'fits an intervention from examples, measures effect and damage, writes graph, vectors and a report; goes on where it was stopped',
  usage: `fit METHOD --model M --data FILE --out G.json [--set NAME=VALUE ...], METHOD one of ${methods.map((method) => method.name).join(', ')}`,
  options: ['model', ...exampleOptions, 'out', 'export', ...recipeOptions, 'seeds', 'results', ...engineOptions],
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
