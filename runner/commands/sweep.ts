import { prepareExamples } from '../../src/fit/prepared.ts';
import { graphFitted } from '../../src/fit/graph-fitted.ts';
import { studyFit } from '../../src/fit/study.ts';
import { graphHash } from '../../src/graph/hash.ts';
import { engineOptions, type Command } from '../command.ts';
import { exampleOptions, readExampleOption } from '../example-options.ts';
import { readGraphFile } from '../graph-file.ts';
import { engineChoice, engineDocument, openEngine } from '../open-engine.ts';
import { openModelOption } from '../open-model.ts';
import { usage, type Options } from '../options.ts';
import type { Output } from '../output.ts';
import { tokenizerOf } from '../prompts.ts';
import { readRecipe, recipeOptions } from '../recipe-options.ts';
import { withUnits } from '../results.ts';
import { fitEvents, showReport } from '../study-output.ts';

const unused = ['set', 'token', 'behaviour', 'layers', 'no-sweep'] as const;
const options = recipeOptions.filter((name) => !unused.some((other) => other === name));

async function run(given: Options, output: Output, signal: AbortSignal): Promise<void> {
  const model = given.needed('model');
  const fitted = graphFitted(await readGraphFile(given.needed('graph')));
  const choice = engineChoice(given);
  const recipe = await readRecipe('graph', given);
  if (!recipe.sweep) throw usage('sweep measures');
  const sweep = recipe.sweep;
  const set = await readExampleOption(given, output);
  const files = await openModelOption(model, output, signal);
  const tokenizer = tokenizerOf(files);
  const engine = await openEngine(files, choice, null, output, signal);
  try {
    const examples = prepareExamples(set, tokenizer, recipe, engine.model.limits.maxContext);
    const onEvent = fitEvents(output);
    const study = await withUnits(given, engine, set.sha256, (units) =>
      studyFit({ engine, tokenizer, examples, fits: [{ layer: null, fitted }], recipe, units, signal, onEvent }, sweep),
    );
    const { effectName, effectUnit, frontier, recommended, reason, cliff, test, promptOnly, samples } = study;
    const report = {
      ...{ recipe, method: fitted.report, rows: examples.counts, readings: examples.readings.length, effectName, effectUnit },
      ...{
        sweep: study.sweep,
        frontier,
        recommended,
        reason,
        cliff,
        test,
        promptOnly,
        samples,
        notes: [...examples.notes, ...study.notes],
        receipt: {},
      },
    };
    output.result({ ...engineDocument(engine, files), graph: graphHash(fitted.graph.document), data: set.sha256, report });
    output.text(showReport(report));
  } finally {
    await engine.dispose();
  }
}

export const sweepCommand: Command = {
  verb: 'sweep',
  summary: 'effect against damage of a graph over strengths and numbers of its places, on examples; chosen on validation rows, tested once',
  usage: 'sweep --model M --graph G.json --data FILE [--strengths A,B,...] [--counts K,L,...]',
  options: ['model', 'graph', ...exampleOptions, ...options, 'results', ...engineOptions],
  run,
};
