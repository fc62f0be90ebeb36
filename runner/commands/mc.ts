import { choiceMetrics, type ChoiceEstimates } from '../../src/evals/multiple-choice.ts';
import { ownPrimer, primers, type Primer } from '../../src/evals/primer.ts';
import type { JobResult } from '../../src/jobs/job-result.ts';
import type { ChoiceEvaluation } from '../../src/jobs/job.ts';
import type { Command } from '../command.ts';
import { readConditions } from '../conditions.ts';
import { showEstimate, table } from '../estimates.ts';
import { exampleOptions, jobExamples, needQuestions, readExampleOption } from '../example-options.ts';
import { readBytes } from '../files.ts';
import { jobOutcome, placeOptions } from '../job-verb.ts';
import { choiceTexts } from '../jobs/run-job.ts';
import type { Options } from '../options.ts';
import type { Output } from '../output.ts';

async function readPrimer(text: string | null): Promise<Primer> {
  if (text === null || text === 'qa') return primers.pairs;
  if (text === 'none') return primers.none;
  return ownPrimer(new TextDecoder().decode(await readBytes(text)).trim());
}

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const result = await jobOutcome(options, output, signal, async () => {
    const { graph, factors } = await readConditions(options);
    const primer = await readPrimer(options.text('primer'));
    const seed = options.integer('seed', 0, 0xffffffff) ?? 0;
    const set = await readExampleOption(options, output);
    needQuestions(set);
    const evaluation: ChoiceEvaluation = {
      type: 'multiple-choice',
      examples: jobExamples(set),
      primer,
      template: options.choice('template', ['none', 'chat'], 'none'),
      limit: options.integer('limit', 1) ?? null,
    };
    return {
      job: { kind: 'evaluate', evaluation, factors, seed },
      graph,
      context: (files) => choiceTexts(evaluation, seed, files).texts.texts.reduce((most, { ids }) => Math.max(most, ids.length), 0),
    };
  });
  showChoices(result, output);
}

export function showChoices(result: JobResult, output: Output): void {
  if (result.kind !== 'multiple-choice') throw new Error(`the result is of a ${result.kind}`);
  const { engine, graph, data, primer, seed, conditions, notes } = result;
  output.result({ ...engine, graph, data, primer, seed, conditions, notes });
  const shown = (estimates: ChoiceEstimates, measure: 'sum' | 'mean'): string[] =>
    choiceMetrics.map((metric) => showEstimate(estimates[measure][metric].value));
  output.text(
    table([
      ['', 'MC1', 'MC2', 'MC3', 'MC1, mean per token', 'MC2', 'MC3'],
      ...conditions.map((row) => [row.name, ...shown(row, 'sum'), ...shown(row, 'mean')]),
    ]),
  );
}

export const mcCommand: Command = {
  verb: 'mc',
  summary: 'multiple choice by likelihood: MC1, MC2 and MC3 of questions with right and wrong answers, unedited and under a graph',
  usage: 'mc --model M --data FILE [--graph G.json [--factor F ...]] [--primer none|qa|FILE]',
  options: ['model', ...exampleOptions, 'graph', 'factor', 'primer', 'template', 'limit', 'seed', ...placeOptions],
  run,
};
