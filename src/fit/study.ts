import type { Engine } from '../engine/engine.ts';
import { answerEncoder } from '../evals/answer-text.ts';
import { questionTexts } from '../evals/choices.ts';
import { choosePoint, measureTest, readSweep, type Chosen, type Control as TestControl, type SweepReading } from '../evals/chosen.ts';
import { resampling, type Resampling } from '../evals/estimate.ts';
import { exampleEffect } from '../evals/example-effect.ts';
import type { Effect } from '../evals/effect.ts';
import { choiceMetrics, multipleChoice, type ChoiceEstimates, type ChoiceMetric } from '../evals/multiple-choice.ts';
import { neutralSets, neutralTexts, type NeutralTexts } from '../evals/neutral-texts.ts';
import { primers } from '../evals/primer.ts';
import type { EvalProgress } from '../evals/run.ts';
import { sampleTexts, type SamplePlan } from '../evals/samples.ts';
import { conditionOf, runSweep, type NamedFit, type Sweep } from '../evals/sweep.ts';
import type { Condition, Estimate } from '../evals/condition.ts';
import type { UnitStore } from '../evals/unit-store.ts';
import type { Example } from '../examples/example.ts';
import { controls } from '../methods/controls.ts';
import type { Fitted } from '../methods/method.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { rowsOfPart, stream, type PreparedExamples } from './prepared.ts';
import type { Recipe, SweepChoice } from './recipe.ts';
import type { FitEvent, FitReport, FitStage, SweepPoint, TestRow } from './report.ts';

/** What a study of a fitted intervention needs. */
export interface StudyRequest {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly examples: PreparedExamples;
  /** One, or one for each layer of the recipe's sweep. */
  readonly fits: readonly LayerFit[];
  readonly recipe: Recipe;
  readonly units: UnitStore;
  readonly signal?: AbortSignal;
  readonly onEvent: (event: FitEvent) => void;
}

/** A fit with the layer that the recipe asked for, or null where the method chose. */
export interface LayerFit {
  readonly layer: number | null;
  readonly fitted: Fitted;
}

/** What a sweep and the test of what it chose found. */
export type Study = Pick<
  FitReport,
  'effectName' | 'effectUnit' | 'sweep' | 'frontier' | 'recommended' | 'reason' | 'cliff' | 'test' | 'promptOnly' | 'samples'
> & {
  readonly chosen: Chosen;
  readonly neutralHash: string;
  readonly resampling: Resampling;
  readonly notes: readonly string[];
};

/** Tokens of a neutral document, new tokens of a sample, prompts sampled. */
const documentTokens = 128;
const sampleTokens = 40;
const defaultSamples = 8;

/** Numbers of places to try where the recipe names none: a quarter of the method's own number, half, all, and twice. */
export function sweepCounts({ chosen, ranking }: Pick<Fitted, 'chosen' | 'ranking'>): number[] {
  const wanted = [Math.ceil(chosen / 4), Math.ceil(chosen / 2), chosen, 2 * chosen].map((count) =>
    Math.min(Math.max(1, count), ranking.length),
  );
  return [...new Set(wanted)];
}

/**
 * A sweep of strength and number of places on validation rows, the choice it leads to, and one measurement of that choice and of its
 * controls on test rows.
 * @throws eval/*, what the engine throws, request/aborted
 */
export async function studyFit(request: StudyRequest, choice: SweepChoice): Promise<Study> {
  const { engine, tokenizer, examples, recipe, units, signal, onEvent } = request;
  const maxContext = engine.model.limits.maxContext;
  const drawing = resampling(recipe.seed);
  const neutral = neutralOf(choice, tokenizer, maxContext);
  const effectOf = (part: 'validation' | 'test', preamble?: string): Effect =>
    exampleEffect(examples.set.kind, rowsOfPart(examples, part), tokenizer, {
      effect: choice.effect,
      part,
      template: recipe.template,
      maxContext,
      ...(preamble === undefined ? {} : { preamble }),
    });
  const progress =
    (stage: FitStage, unit: string, scale = 1) =>
    ({ done, total, reused }: EvalProgress): void =>
      onEvent({ type: 'progress', stage, done: done / scale, total: total / scale, unit, reused: reused / scale });
  const run = { engine, store: units, ...(signal ? { signal } : {}) };

  const fits = request.fits.map(({ layer, fitted }) => ({ name: fitName(recipe, layer), layer, fitted }));
  const layerOf = new Map(fits.map(({ name, layer }) => [name, layer]));
  const sweep: Sweep = await runSweep(
    {
      fits,
      strengths: choice.strengths,
      counts: choice.counts.length > 0 ? choice.counts : [...new Set(fits.flatMap(({ fitted }) => sweepCounts(fitted)))],
      effect: effectOf('validation'),
      neutral,
      resampling: drawing,
    },
    {
      ...run,
      onProgress: progress('sweep', 'conditions', 100),
      onPoint: (point) => onEvent({ type: 'point', point: plainPoint(point, layerOf) }),
    },
  );
  const reading: SweepReading = readSweep(sweep, choice.klBudget);
  const chosen = choosePoint(sweep, reading.recommended > 0 ? reading.recommended : ownDose(sweep, fits[0]));
  const notes = [...sweep.notes];
  if (reading.recommended === 0 && chosen.condition)
    notes.push(`Nothing was recommended, so test rows show the method's own dose: ${chosen.condition.name}.`);
  const compared = choice.controls ? controlsOf((chosen.fit ?? fits[0]).fitted, recipe, notes) : [];
  const testEffect = effectOf('test');
  const plan = samplePlan(examples, tokenizer, recipe, maxContext, choice.samples ?? defaultSamples);
  const measures = { effect: testEffect, neutral, resampling: drawing, ...(plan ? { samples: plan } : {}) };
  const prompted = choice.instruction ? effectOf('test', choice.instruction) : null;
  const tested = await measureTest(chosen, measures, compared, { ...run, onProgress: progress('test', 'steps', 100) }, prompted);
  notes.push(...tested.notes.filter((note) => !notes.includes(note)));

  const conditions = testConditions(chosen, compared);
  const choices = await testChoices(request, conditions, drawing, progress('test', 'answers'), notes);
  const test = tested.rows.map(({ name, effect, gain, damage, repetition }, index): TestRow => ({
    ...{ name: name === 'chosen' && reading.recommended === 0 ? "method's own dose" : name, effect, gain, damage, repetition },
    ...(choices ? choiceRow(choices[index]) : {}),
  }));
  return {
    effectName: testEffect.title,
    effectUnit: testEffect.unit,
    sweep: sweep.points.map((point) => plainPoint(point, layerOf)),
    frontier: reading.frontier,
    recommended: reading.recommended,
    reason: reading.reason,
    cliff: reading.cliff,
    test,
    promptOnly: tested.promptOnly,
    samples: plan ? await readableSamples(plan, chosen, request) : [],
    chosen,
    neutralHash: neutral.sha256,
    resampling: drawing,
    notes,
  };
}

/**
 * Index of the method's own number of places at the strength nearest to its own dose; 0 where the sweep has none. It was settled before
 * anything was measured, so that test rows can show what the published setting does where nothing is worth recommending.
 */
function ownDose({ points }: Sweep, { name, fitted }: NamedFit): number {
  const away = (index: number): number => Math.abs(points[index].strength - 1);
  const candidates = points.map((_, index) => index).filter((index) => points[index].fit === name && points[index].count === fitted.chosen);
  return candidates.reduce((best, index) => (best === 0 || away(index) < away(best) ? index : best), 0);
}

const fitName = ({ method }: Recipe, layer: number | null): string => (layer === null ? method : `${method}, layer ${layer}`);

function plainPoint(point: Sweep['points'][number], layers: ReadonlyMap<string, number | null>): SweepPoint {
  const { strength, count, effect, gain, damage, edits } = point;
  const layer = layers.get(point.fit) ?? null;
  return { strength, ...(layer === null ? {} : { layer }), count, effect, gain, damage, edits };
}

export function neutralOf(
  { neutral }: Pick<SweepChoice, 'neutral'>,
  tokenizer: Tokenizer,
  maxContext: number,
  limit = documentTokens,
): NeutralTexts {
  const texts = typeof neutral === 'string' ? neutralSets[neutral].texts : neutral.texts;
  return neutralTexts(texts, (text) => tokenizer.encode(text), Math.min(limit, maxContext));
}

function controlsOf(fitted: Fitted, recipe: Recipe, notes: string[]): TestControl[] {
  const random = stream(recipe.seed, 'controls');
  return controls.flatMap(({ name, make }): TestControl[] => {
    const control = make(fitted, random);
    if ('fitted' in control) return [{ name, fitted: control.fitted }];
    notes.push(`There is no control "${name}": ${control.reason}.`);
    return [];
  });
}

/** What `measureTest` measures besides the unedited model, in its order. */
function testConditions({ condition, point }: Chosen, compared: readonly TestControl[]): Condition[] {
  if (!condition) return [];
  return [
    condition,
    ...compared.map((control) => conditionOf(control, point.strength, Math.min(point.count, control.fitted.ranking.length))),
  ];
}

/** MC1, MC2 and MC3 on test questions, the unedited model first; null where the examples are no questions. */
async function testChoices(
  { engine, tokenizer, examples, recipe, units, signal }: StudyRequest,
  conditions: readonly Condition[],
  drawing: Resampling,
  onProgress: (progress: EvalProgress) => void,
  notes: string[],
): Promise<ChoiceEstimates[] | null> {
  const rows = rowsOfPart(examples, 'test').flatMap((row) => (row.kind === 'questions' ? [row] : []));
  if (rows.length === 0) return null;
  const encode = answerEncoder(tokenizer, { template: recipe.template });
  const texts = questionTexts(rows, primers.none, encode, engine.model.limits.maxContext);
  const result = await multipleChoice(texts, conditions, drawing, { engine, store: units, onProgress, ...(signal ? { signal } : {}) });
  notes.push(...result.notes.filter((note) => !notes.includes(note)));
  notes.push(`Multiple choice: ${result.questions} test questions without a primer, log-probabilities summed over each answer's tokens.`);
  return [result.unedited, ...result.conditions];
}

function choiceRow({ sum }: ChoiceEstimates): Pick<TestRow, 'multipleChoice' | 'multipleChoiceGain'> {
  const take = (what: 'value' | 'gain'): Record<ChoiceMetric, Estimate> =>
    Object.fromEntries(choiceMetrics.map((metric) => [metric, sum[metric][what]])) as Record<ChoiceMetric, Estimate>;
  return { multipleChoice: take('value'), multipleChoiceGain: take('gain') };
}

/** Prompts of test rows that are continued: beginnings of labelled texts, prompts of pairs, questions. */
function samplePlan(examples: PreparedExamples, tokenizer: Tokenizer, recipe: Recipe, maxContext: number, most: number): SamplePlan | null {
  const prompts: { ids: number[] }[] = [];
  for (const row of rowsOfPart(examples, 'test')) {
    if (prompts.length === most) break;
    const ids = promptOf(row, tokenizer, recipe);
    if (ids.length > 0 && ids.length + sampleTokens <= maxContext) prompts.push({ ids });
  }
  return prompts.length === 0 ? null : { prompts, maxTokens: sampleTokens };
}

function promptOf(row: Example, tokenizer: Tokenizer, { template }: Recipe): number[] {
  const asked = row.kind === 'questions' || row.kind === 'choices' ? row.question : row.kind === 'labelled' ? '' : row.prompt;
  if (asked.trim() === '') {
    const text = row.kind === 'labelled' ? row.text : row.kind === 'pairs' ? row.positive : '';
    const words = text.split(/\s+/u).slice(0, 4).join(' ');
    return words === '' ? [] : tokenizer.encode(words);
  }
  if (template === 'chat') return tokenizer.chat([{ role: 'user', content: asked }]).ids;
  return tokenizer.encode(row.kind === 'questions' ? `Q: ${asked} A:` : asked);
}

async function readableSamples(
  plan: SamplePlan,
  { condition }: Chosen,
  { engine, tokenizer, units, signal }: StudyRequest,
): Promise<Study['samples']> {
  // All of them are in the store: they were measured just before.
  const { unedited, conditions } = await sampleTexts(plan, condition ? [condition] : [], {
    engine,
    store: units,
    ...(signal ? { signal } : {}),
  });
  return plan.prompts.map(({ ids }, index) => ({
    prompt: tokenizer.decode(ids),
    unedited: continuation(tokenizer, ids, unedited[index].ids),
    chosen: condition ? continuation(tokenizer, ids, conditions[0][index].ids) : null,
  }));
}

/** New text as it follows the prompt, with its leading space. */
function continuation(tokenizer: Tokenizer, prompt: readonly number[], ids: readonly number[]): string {
  const stream = tokenizer.decodeStream(prompt);
  return ids.map((id) => stream.push(id)).join('') + stream.flush();
}
