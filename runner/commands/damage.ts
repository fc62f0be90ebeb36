import { measureDamage } from '../../src/evals/damage.ts';
import { resampling } from '../../src/evals/estimate.ts';
import type { Damage } from '../../src/evals/condition.ts';
import { neutralOf } from '../../src/fit/study.ts';
import { graphHash } from '../../src/graph/hash.ts';
import { engineOptions, type Command } from '../command.ts';
import { readConditions } from '../conditions.ts';
import { showEstimate, table } from '../estimates.ts';
import { engineChoice, engineDocument, openEngine } from '../open-engine.ts';
import { openModelOption } from '../open-model.ts';
import type { Options } from '../options.ts';
import type { Output } from '../output.ts';
import { tokenizerOf } from '../prompts.ts';
import { readNeutral } from '../recipe-options.ts';
import { withUnits } from '../results.ts';

const defaultLength = 128;

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const model = options.needed('model');
  const choice = engineChoice(options);
  const conditions = await readConditions(options);
  const neutral = await readNeutral(options.text('neutral'));
  const limit = options.integer('max-length', 2) ?? defaultLength;
  const drawing = resampling(options.integer('seed', 0, 0xffffffff) ?? 0);
  const files = await openModelOption(model, output, signal);
  const tokenizer = tokenizerOf(files);
  const engine = await openEngine(files, choice, limit, output, signal);
  try {
    const texts = neutralOf({ neutral }, tokenizer, engine.model.limits.maxContext, limit);
    const onProgress = ({ done, total }: { done: number; total: number }): void => output.progress('measuring damage', done, total);
    const result = await withUnits(options, engine, texts.sha256, (store) =>
      measureDamage(texts, conditions, drawing, { engine, store, signal, onProgress }),
    );
    for (const note of result.notes) output.note(note);
    const rows: { name: string; factor: number; damage: Damage; edits: number }[] = [
      { name: 'as is', factor: 0, damage: result.unedited, edits: 0 },
      ...conditions.map(({ name, factor }, i) => ({ name, factor, damage: result.conditions[i], edits: result.edits[i] })),
    ];
    output.result({
      ...engineDocument(engine, files),
      graph: conditions.length > 0 ? graphHash(conditions[0].graph.document) : null,
      neutral: { sha256: texts.sha256, documents: texts.sequences.length, tokens: texts.tokens },
      seed: drawing.seed,
      conditions: rows.map(({ name, factor, damage, edits }) => ({ name, factor, ...damage, edits })),
      notes: result.notes,
    });
    output.text(
      table([
        ['', 'cross entropy, nats/token', 'rise', 'KL to the unedited model'],
        ...rows.map(({ name, damage }) => [
          name,
          showEstimate(damage.crossEntropy),
          showEstimate(damage.crossEntropyRise),
          showEstimate(damage.kl, 4),
        ]),
      ]),
    );
  } finally {
    await engine.dispose();
  }
}

export const damageCommand: Command = {
  verb: 'damage',
  summary: 'what a graph costs: cross entropy and KL to the unedited model on neutral texts, with intervals',
  usage: 'damage --model M [--graph G.json [--factor F ...]] [--neutral general|stories|FILE]',
  options: ['model', 'graph', 'factor', 'neutral', 'max-length', 'seed', 'results', ...engineOptions],
  run,
};
