import { TillerError } from '../src/errors/error.ts';
import type { TokenRule } from '../src/examples/reading.ts';
import { readNeutralTexts } from '../src/evals/neutral-texts.ts';
import { defaultRecipe, type Recipe, type SplitChoice, type SweepChoice } from '../src/fit/recipe.ts';
import type { Settings } from '../src/methods/method.ts';
import { readBytes } from './files.ts';
import { usage, type OptionName, type Options } from './options.ts';

/** Options that make a recipe, in the order of the help. */
export const recipeOptions = [
  'set',
  'template',
  'token',
  'split',
  'validation',
  'test',
  'seed',
  'limit',
  'behaviour',
  'no-sweep',
  'strengths',
  'counts',
  'layers',
  'effect',
  'neutral',
  'kl-budget',
  'no-controls',
  'instruction',
  'samples',
] as const satisfies readonly OptionName[];

/** @throws usage, file/unreadable for a file of neutral texts */
export async function readRecipe(method: string, options: Options): Promise<Recipe> {
  const sweepless = options.flag('no-sweep');
  if (sweepless) {
    for (const name of ['strengths', 'counts', 'layers', 'effect', 'neutral', 'kl-budget', 'instruction', 'samples'] as const) {
      if (options.text(name) !== null) throw usage(`--${name} means nothing with --no-sweep`);
    }
  }
  return {
    method,
    settings: readSettingOptions(options),
    template: options.choice('template', ['none', 'chat'], defaultRecipe.template),
    token: readTokenRule(options.text('token')),
    split: readSplit(options),
    seed: options.integer('seed', 0, 0xffffffff) ?? defaultRecipe.seed,
    behaviour: options.all('behaviour'),
    limit: options.integer('limit', 2) ?? null,
    sweep: sweepless ? null : await readSweep(options),
  };
}

/** `--set name=value`, values as numbers or booleans where they look like them; the method checks names and ranges. */
export function readSettingOptions(options: Options): Settings {
  const settings: Record<string, number | string | boolean> = {};
  for (const text of options.all('set')) {
    const at = text.indexOf('=');
    if (at < 1) throw usage(`--set is "${text}", expected NAME=VALUE`);
    const name = text.slice(0, at).trim();
    if (Object.hasOwn(settings, name)) throw usage(`--set gives "${name}" twice`);
    settings[name] = settingValue(text.slice(at + 1).trim());
  }
  return settings;
}

function settingValue(text: string): number | string | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  const value = text === '' ? NaN : Number(text);
  return Number.isFinite(value) ? value : text;
}

export function readTokenRule(text: string | null): TokenRule {
  if (text === null) return defaultRecipe.token;
  if (text === 'last' || text === 'answer-last' || text === 'answer-first') return text;
  const offset = Number(text);
  if (!Number.isInteger(offset) || offset >= 0) {
    throw usage(`--token is "${text}", expected last, answer-last, answer-first, or a negative whole number counted from the end`);
  }
  return { offset };
}

function readSplit(options: Options): SplitChoice {
  const kind = options.choice('split', ['fractions', 'half-0', 'half-1'], 'fractions');
  const validation = options.number('validation', 0.01, 0.9);
  const test = options.number('test', 0.01, 0.9);
  if (kind !== 'fractions') {
    if (validation !== undefined || test !== undefined) throw usage(`--validation and --test mean nothing with --split ${kind}`);
    return { kind: 'halves', testHalf: kind === 'half-0' ? 0 : 1 };
  }
  const split = { kind, validation: validation ?? 0.2, test: test ?? 0.2 } as const;
  if (split.validation + split.test > 0.9) throw usage('--validation and --test leave less than a tenth to fit on');
  return split;
}

/** A list of numbers in one option: `0.5,1,2`. */
export function numberList(options: Options, name: 'strengths' | 'counts' | 'layers', low: number): readonly number[] | null {
  const text = options.text(name);
  if (text === null) return null;
  const values = text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  const whole = name !== 'strengths';
  if (values.some((value) => !Number.isFinite(value) || value < low || (whole && !Number.isInteger(value)))) {
    throw usage(`--${name} is "${text}", expected ${whole ? 'whole ' : ''}numbers of at least ${low}, separated by commas`);
  }
  if (new Set(values).size !== values.length) throw usage(`--${name} names a number twice`);
  return values;
}

async function readSweep(options: Options): Promise<SweepChoice> {
  const { sweep } = defaultRecipe;
  const instruction = options.text('instruction');
  const samples = options.integer('samples', 0, 1000);
  const layers = numberList(options, 'layers', 0);
  if (!sweep) throw new TillerError('internal', { problem: 'the default recipe has no sweep' });
  return {
    strengths: numberList(options, 'strengths', -1e6) ?? sweep.strengths,
    counts: numberList(options, 'counts', 1) ?? sweep.counts,
    ...(layers ? { layers } : {}),
    effect: options.text('effect') ?? sweep.effect,
    neutral: await readNeutral(options.text('neutral')),
    klBudget: options.number('kl-budget', 0) ?? sweep.klBudget,
    controls: !options.flag('no-controls'),
    ...(instruction === null ? {} : { instruction }),
    ...(samples === undefined ? {} : { samples }),
  };
}

/** The built-in neutral texts by name, or a file: one text a line, or JSONL. @throws file/unreadable, eval/* */
export async function readNeutral(text: string | null): Promise<SweepChoice['neutral']> {
  if (text === null || text === 'general' || text === 'stories') return text ?? 'general';
  return { texts: readNeutralTexts(new TextDecoder().decode(await readBytes(text))) };
}
