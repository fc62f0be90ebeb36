import { TillerError } from '../errors/error.ts';
import type { SequenceInput } from '../engine/engine.ts';
import type { Example, ExampleKind } from '../examples/example.ts';
import type { Part } from '../examples/reading.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { answerEncoder, askedPlainly, type AnswerEncoder } from './answer-text.ts';
import { questionTexts } from './choices.ts';
import type { Effect } from './effect.ts';
import { letterItems } from './letters.ts';
import {
  effectOfKind,
  likelihoodEffect,
  likelihoodEffects,
  type ClassText,
  type Comparison,
  type LikelihoodEffectName,
  type LikelihoodUnits,
} from './likelihood-effect.ts';
import { primers, type Primer } from './primer.ts';

export interface ExampleEffectOptions {
  /** Row of the effects table, or `auto` for the one that suits the kind of examples. */
  readonly effect: string;
  readonly part: Part;
  readonly template: 'none' | 'chat';
  /** Longest text in tokens; longer ones are left out and said. */
  readonly maxContext: number;
  /** In front of questions. @default primers.none */
  readonly primer?: Primer;
  /** An instruction in front of everything: the control that only prompts. */
  readonly preamble?: string;
}

/** The name that `auto` stands for, checked. @throws eval/setting */
export function effectNameFor(effect: string, kind: ExampleKind): LikelihoodEffectName {
  if (effect === 'auto') return effectOfKind[kind];
  const fits = (name: string): name is LikelihoodEffectName =>
    Object.hasOwn(likelihoodEffects, name) &&
    likelihoodEffects[name as LikelihoodEffectName].kinds.some((one: ExampleKind) => one === kind);
  if (fits(effect)) return effect;
  const choices = Object.keys(likelihoodEffects).filter(fits);
  throw new TillerError('eval/setting', {
    problem: `there is no effect "${effect}" for examples that are ${kind}; there are ${choices.join(', ')}`,
  });
}

/**
 * The effect of an intervention on examples of one part, by likelihood. Rows are compared within themselves (pairs, continuations,
 * lettered options in both orders, right against wrong answers), labelled texts between the classes. A labelled text, and a pair without
 * a prompt, counts from its second token on.
 * @throws eval/setting, eval/units where no row is left
 */
export function exampleEffect(kind: ExampleKind, rows: readonly Example[], tokenizer: Tokenizer, options: ExampleEffectOptions): Effect {
  const name = effectNameFor(options.effect, kind);
  const notes: string[] = [];
  const encode = answerEncoder(tokenizer, options);
  const front = options.preamble ? `${options.preamble}\n\n` : '';
  const whole = (text: string): SequenceInput | null => {
    const ids = tokenizer.encode(`${front}${text}`);
    if (ids.length < 2) return null;
    return front === '' ? { ids, promptLength: 1 } : encode(askedPlainly(''), text);
  };
  const units = kind === 'labelled' ? classTexts(rows, whole) : comparisons(rows, encode, whole, options, notes);
  const fits = (texts: readonly (SequenceInput | null)[]): boolean =>
    texts.every((text) => text !== null && text.ids.length <= options.maxContext);
  const kept: LikelihoodUnits =
    units.kind === 'classes'
      ? { kind: 'classes', units: units.units.filter(({ text }) => fits([text])) }
      : { kind: 'comparisons', units: units.units.filter(({ wanted, unwanted }) => fits([...wanted, ...unwanted])) };
  const lost = units.units.length - kept.units.length;
  if (lost > 0)
    notes.push(`${lost} ${options.part} rows are longer than the context of ${options.maxContext} tokens and left out of the effect.`);
  return likelihoodEffect(name, options.part, kept, notes);
}

type Whole = (text: string) => SequenceInput | null;

function classTexts(rows: readonly Example[], whole: Whole): LikelihoodUnits {
  const units = rows.flatMap((row): ClassText[] => {
    if (row.kind !== 'labelled') return [];
    const text = whole(row.text);
    return text ? [{ group: row.group, label: row.label, text }] : [];
  });
  return { kind: 'classes', units };
}

/** White space that joins a prompt to a continuation, as readings of the same rows have it. */
const joint = (prompt: string, continuation: string): string =>
  /\s$/u.test(prompt) || /^[\s.,;:!?)\]’'”"]/u.test(continuation) ? '' : ' ';

function comparisons(
  rows: readonly Example[],
  encode: AnswerEncoder,
  whole: Whole,
  options: ExampleEffectOptions,
  notes: string[],
): LikelihoodUnits {
  const units: Comparison[] = [];
  const add = (group: string, prompt: string, wanted: string, unwanted: string): void => {
    const text = (answer: string): SequenceInput | null =>
      prompt.trim() === '' ? whole(answer) : encode(askedPlainly(prompt), `${joint(prompt, answer)}${answer}`);
    const both = [text(wanted), text(unwanted)];
    if (both[0] && both[1]) units.push({ group, wanted: [both[0]], unwanted: [both[1]] });
  };
  for (const row of rows) {
    if (row.kind === 'pairs') add(row.group, row.prompt, row.positive, row.negative);
    if (row.kind === 'continuations') add(row.group, row.prompt, row.wanted, row.unwanted);
  }
  const choices = rows.filter((row) => row.kind === 'choices');
  if (choices.length > 0) {
    for (const { group, pair, swapped } of letterItems(choices, encode)) {
      for (const one of swapped ? [pair, swapped] : [pair]) units.push({ group, wanted: [one.wanted], unwanted: [one.unwanted] });
    }
  }
  const questions = rows.filter((row) => row.kind === 'questions');
  if (questions.length > 0) {
    const given = questionTexts(questions, options.primer ?? primers.none, encode, options.maxContext);
    notes.push(...given.notes);
    let at = 0;
    for (const { group, best, right, wrong } of given.questions) {
      const answers = given.texts.slice(at, at + right + wrong);
      at += right + wrong;
      const wanted = [answers[best], ...answers.slice(0, right).filter((_, i) => i !== best)];
      units.push({ group, wanted, unwanted: answers.slice(right) });
    }
  }
  return { kind: 'comparisons', units };
}
