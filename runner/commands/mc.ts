import { answerEncoder } from '../../src/evals/answer-text.ts';
import { questionTexts } from '../../src/evals/choices.ts';
import { resampling } from '../../src/evals/estimate.ts';
import { choiceMetrics, multipleChoice, type ChoiceEstimates } from '../../src/evals/multiple-choice.ts';
import { ownPrimer, primers, type Primer } from '../../src/evals/primer.ts';
import { limitExamples } from '../../src/fit/prepared.ts';
import { graphHash } from '../../src/graph/hash.ts';
import { engineOptions, type Command } from '../command.ts';
import { readConditions } from '../conditions.ts';
import { showEstimate, table } from '../estimates.ts';
import { exampleOptions, needQuestions, readExampleOption } from '../example-options.ts';
import { readBytes } from '../files.ts';
import { engineChoice, engineDocument, openEngine } from '../open-engine.ts';
import { openModelOption } from '../open-model.ts';
import type { Options } from '../options.ts';
import type { Output } from '../output.ts';
import { tokenizerOf } from '../prompts.ts';
import { withUnits } from '../results.ts';

async function readPrimer(text: string | null): Promise<Primer> {
  if (text === null || text === 'qa') return primers.pairs;
  if (text === 'none') return primers.none;
  return ownPrimer(new TextDecoder().decode(await readBytes(text)).trim());
}

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const model = options.needed('model');
  const choice = engineChoice(options);
  const conditions = await readConditions(options);
  const primer = await readPrimer(options.text('primer'));
  const seed = options.integer('seed', 0, 0xffffffff) ?? 0;
  const drawing = resampling(seed);
  const given = await readExampleOption(options, output);
  needQuestions(given);
  const limit = options.integer('limit', 1) ?? null;
  const notes: string[] = [];
  const set = limitExamples(given, { limit, seed }, notes);
  const files = await openModelOption(model, output, signal);
  const encode = answerEncoder(tokenizerOf(files), { template: options.choice('template', ['none', 'chat'], 'none') });
  const questions = set.rows.flatMap((row) => (row.kind === 'questions' ? [row] : []));
  const texts = questionTexts(questions, primer, encode, files.spec.maxPositions);
  const longest = Math.max(...texts.texts.map(({ ids }) => ids.length));
  const engine = await openEngine(files, choice, longest, output, signal);
  try {
    const onProgress = ({ done, total }: { done: number; total: number }): void => output.progress('scoring answers', done, total);
    const result = await withUnits(options, engine, set.sha256, (store) =>
      multipleChoice(texts, conditions, drawing, { engine, store, signal, onProgress }),
    );
    notes.push(...result.notes);
    for (const note of notes) output.note(note);
    const rows: { name: string; factor: number; estimates: ChoiceEstimates }[] = [
      { name: 'as is', factor: 0, estimates: result.unedited },
      ...conditions.map(({ name, factor }, i) => ({ name, factor, estimates: result.conditions[i] })),
    ];
    output.result({
      ...engineDocument(engine, files),
      graph: conditions.length > 0 ? graphHash(conditions[0].graph.document) : null,
      data: { sha256: given.sha256, questions: result.questions, answers: result.answers },
      primer: primer.name,
      seed,
      conditions: rows.map(({ name, factor, estimates }) => ({ name, factor, ...estimates })),
      notes,
    });
    const shown = (estimates: ChoiceEstimates, measure: 'sum' | 'mean'): string[] =>
      choiceMetrics.map((metric) => showEstimate(estimates[measure][metric].value));
    output.text(
      table([
        ['', 'MC1', 'MC2', 'MC3', 'MC1, mean per token', 'MC2', 'MC3'],
        ...rows.map(({ name, estimates }) => [name, ...shown(estimates, 'sum'), ...shown(estimates, 'mean')]),
      ]),
    );
  } finally {
    await engine.dispose();
  }
}

export const mcCommand: Command = {
  verb: 'mc',
  summary: 'multiple choice by likelihood: MC1, MC2 and MC3 of questions with right and wrong answers, unedited and under a graph',
  usage: 'mc --model M --data FILE [--graph G.json [--factor F ...]] [--primer none|qa|FILE]',
  options: ['model', ...exampleOptions, 'graph', 'factor', 'primer', 'template', 'limit', 'seed', 'results', ...engineOptions],
  run,
};
