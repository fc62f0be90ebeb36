import type { Example, ExampleSet } from './example.ts';

/** One text of an example: what comes before the answer, and the answer; null where the whole text is what it is about. */
export interface ExampleText {
  readonly example: number;
  readonly label: 0 | 1;
  /** Number of the pair within the set; -1 where there is none. */
  readonly pair: number;
  /** Without a template: the text up to the answer, with what joins the two. With one: what the user says. */
  readonly before: string;
  readonly answer: string | null;
}

export interface TextOptions {
  readonly template: 'none' | 'chat';
  /** Answers of a question: all of them, or the best right one against the first wrong one. @default 'all' */
  readonly answers?: 'all' | 'one';
}

/** How a question and its answer become one text, as in ITI (Li et al., 2023). */
export const questionText = (question: string): string => `Q: ${question.trim()} A: `;

/** A prompt with what it needs before a continuation: a space, unless one of the two brings white space. */
const joined = (prompt: string, continuation: string): string =>
  prompt === '' || /\s$/u.test(prompt) || /^[\s.,;:!?)\]’'”"]/u.test(continuation) ? prompt : `${prompt} `;

/** A question whose stored answers are ` (A)` or ` Yes`: `Answer:` is put before them where the question does not end with it. */
const asked = (question: string): string => (/answer:\s*$/i.test(question) ? question.trimEnd() : `${question.trimEnd()}\n\nAnswer:`);

/**
 * All texts of a set, in the order of its rows; of a question, right answers (the best one first) before wrong ones. Texts
 * without an answer lose white space at their ends: it would be the token that is read.
 */
export function textsOf(set: ExampleSet, options: TextOptions): ExampleText[] {
  const texts: ExampleText[] = [];
  let pairs = 0;
  const chat = options.template === 'chat';
  const pair = (example: number, before: readonly [string, string], answers: readonly [string | null, string | null]): void => {
    texts.push({ example, label: 1, pair: pairs, before: before[0], answer: answers[0] });
    texts.push({ example, label: 0, pair: pairs, before: before[1], answer: answers[1] });
    pairs++;
  };
  const two = (example: number, prompt: string, wanted: string, unwanted: string): void => {
    if (chat) pair(example, [prompt, prompt], [wanted, unwanted]);
    else pair(example, [joined(prompt, wanted), joined(prompt, unwanted)], [wanted, unwanted]);
  };
  const question = (example: number, row: Extract<Example, { kind: 'questions' }>): void => {
    const before = chat ? row.question : questionText(row.question);
    const right = [row.best, ...row.right.filter((answer) => answer !== row.best)].slice(0, options.answers === 'one' ? 1 : undefined);
    const wrong = row.wrong.slice(0, options.answers === 'one' ? 1 : undefined);
    const count = Math.min(right.length, wrong.length);
    const add = (answers: readonly string[], label: 0 | 1): void =>
      answers.forEach((answer, i) => texts.push({ example, label, pair: i < count ? pairs + i : -1, before, answer: answer.trim() }));
    add(right, 1);
    add(wrong, 0);
    pairs += count;
  };
  for (const [example, row] of set.rows.entries()) {
    switch (row.kind) {
      case 'labelled':
        texts.push({ example, label: row.label, pair: -1, before: row.text.trim(), answer: null });
        break;
      case 'pairs':
        if (row.prompt.trim() === '') pair(example, [row.positive.trim(), row.negative.trim()], [null, null]);
        else two(example, row.prompt, row.positive, row.negative);
        break;
      case 'continuations':
        two(example, row.prompt, row.wanted, row.unwanted);
        break;
      case 'choices': {
        const before = chat ? row.question : asked(row.question);
        pair(example, [before, before], chat ? [row.matching.trim(), row.notMatching.trim()] : spaced(row.matching, row.notMatching));
        break;
      }
      case 'questions':
        question(example, row);
        break;
    }
  }
  return texts;
}

/** Answers after `Answer:` begin with white space; stored ones usually do. */
const spaced = (...answers: readonly [string, string]): [string, string] => {
  const space = (answer: string): string => (/^\s/u.test(answer) ? answer : ` ${answer}`);
  return [space(answers[0]), space(answers[1])];
};
