import { TillerError } from '../errors/error.ts';
import type { Tokenizer } from '../model/tokenizer.ts';

/** Two prompts and two answers as a person writes them. */
export interface PatchTexts {
  readonly clean: string;
  readonly corrupted: string;
  /** What the clean prompt asks for, and what the corrupted one does. */
  readonly wanted: string;
  readonly unwanted: string;
}

/** The same as token ids; answers are what stands after the prompts. */
export type PatchTokens = Readonly<Record<keyof PatchTexts, readonly number[]>>;

const setting = (problem: string): TillerError => new TillerError('eval/setting', { problem });

/**
 * Prompts may differ in length here; patchPlaces refuses that. An answer is a word after the prompt: where neither has a space between
 * them, one is put there.
 * @throws eval/setting where a text is empty, an answer shares a token with a prompt's end, or begins with other tokens after the other prompt
 */
export function patchTokens(texts: PatchTexts, tokenizer: Pick<Tokenizer, 'encode'>): PatchTokens {
  for (const name of ['clean', 'corrupted', 'wanted', 'unwanted'] as const)
    if (texts[name].trim() === '') throw setting(`the ${name} ${name === 'clean' || name === 'corrupted' ? 'prompt' : 'answer'} is empty`);
  const { clean, corrupted } = texts;
  const answer = (text: string): readonly number[] => {
    const [first, second] = [clean, corrupted].map((prompt) => answerIds(prompt, text, tokenizer));
    if (first.join() !== second.join())
      throw setting(`the answer ${JSON.stringify(text)} has other tokens after the clean prompt than after the corrupted one`);
    return first;
  };
  return {
    clean: tokenizer.encode(clean),
    corrupted: tokenizer.encode(corrupted),
    wanted: answer(texts.wanted),
    unwanted: answer(texts.unwanted),
  };
}

function answerIds(prompt: string, answer: string, tokenizer: Pick<Tokenizer, 'encode'>): number[] {
  const before = tokenizer.encode(prompt);
  const gap = /\s$/.test(prompt) || /^\s/.test(answer) ? '' : ' ';
  const whole = tokenizer.encode(`${prompt}${gap}${answer}`);
  if (whole.length > before.length && before.every((id, at) => id === whole[at])) return whole.slice(before.length);
  throw setting(
    `the answer ${JSON.stringify(answer)} shares a token with the end of ${JSON.stringify(prompt.slice(-20))}; let the prompt end without white space`,
  );
}
