import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goldenRoot } from '../../test/conformance/golden.ts';
import type { ChoiceExample, QuestionExample } from '../examples/example.ts';
import { createTokenizer } from '../model/tokenizer.ts';
import { answerEncoder, askedPlainly } from './answer-text.ts';
import { questionTexts } from './choices.ts';
import { letterItems, letterValues, swapOptions } from './letters.ts';
import { ownPrimer, primers, questionPrompt } from './primer.ts';

const folder = join(goldenRoot, 'real_stories260K', 'model');
const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown;
const tokenizer = createTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
const encode = answerEncoder(tokenizer, { template: 'none' });

describe('an answer among tokens', () => {
  it('is what comes after promptLength, whatever the tokenizer does at the border', () => {
    const { ids, promptLength = 0 } = encode(askedPlainly('Q: Where is the dog?\nA:'), ' In the park.');
    expect(tokenizer.decode(ids.slice(promptLength)).trim()).toBe('In the park.');
    expect(tokenizer.decode(ids.slice(0, promptLength)).trim()).toMatch(/A:$/);
  });

  it('together with the prompt is the text', () => {
    const word = fc.stringMatching(/^[a-z]{1,6}$/);
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), fc.array(word, { minLength: 1, maxLength: 5 }), (before, after) => {
        const { ids, promptLength = 0 } = encode(askedPlainly(before.join(' ')), ` ${after.join(' ')}`);
        expect(ids).toEqual(tokenizer.encode([...before, ...after].join(' ')));
        expect(tokenizer.decode(ids.slice(promptLength)).trim()).toContain(after.at(-1));
        expect(promptLength).toBeGreaterThan(0);
        expect(promptLength).toBeLessThan(ids.length);
      }),
    );
  });

  it('that is empty is an error', () => {
    expect(() => encode(askedPlainly('Q'), ' ')).toThrowError(expect.objectContaining({ code: 'eval/answer' }) as Error);
  });

  it('follows an instruction where one is given', () => {
    const told = answerEncoder(tokenizer, { template: 'none', preamble: 'Be kind.' })(askedPlainly('Hello'), ' there');
    expect(tokenizer.decode(told.ids)).toBe('Be kind.\n\nHello there');
  });
});

const question: QuestionExample = {
  kind: 'questions',
  line: 1,
  group: 'q',
  question: 'Who sat on the mat?',
  best: 'The cat.',
  right: ['A cat.', 'The cat.'],
  wrong: ['The dog.'],
};

describe('questions as texts', () => {
  it('share the primer and their question', () => {
    const { texts, questions } = questionTexts([question], primers.pairs, encode, 1000);
    expect(questions).toEqual([{ group: 'q', best: 1, right: 2, wrong: 1 }]);
    const prompts = texts.map(({ ids, promptLength }) => ids.slice(0, promptLength));
    expect(prompts[1]).toEqual(prompts[0]);
    expect(texts.map(({ ids, promptLength }) => tokenizer.decode(ids.slice(promptLength)).trim())).toEqual([
      'A cat.',
      'The cat.',
      'The dog.',
    ]);
    expect(questionPrompt('Why?', ownPrimer('Now:')).plain).toBe('Now:\n\nQ: Why?\nA:');
  });

  it('that cannot be scored are left out and said; none left is an error', () => {
    const { notes, questions } = questionTexts([question, { ...question, wrong: [] }], primers.none, encode, 1000);
    expect(questions).toHaveLength(1);
    expect(notes.join()).toContain('lack a wrong answer');
    expect(() => questionTexts([question], primers.none, encode, 5)).toThrowError(expect.objectContaining({ code: 'eval/units' }) as Error);
  });
});

describe('lettered options', () => {
  const item: ChoiceExample = {
    kind: 'choices',
    line: 1,
    group: 'c',
    question: 'Do you like rain?\n\nChoices:\n (A) Yes, very much\n (B) No',
    matching: ' (A)',
    notMatching: ' (B)',
  };

  it('change places', () => {
    expect(swapOptions(item)).toEqual({ question: 'Do you like rain?\n\nChoices:\n (A) No\n (B) Yes, very much', matchingFirst: true });
    expect(swapOptions({ ...item, matching: ' (B)', notMatching: ' (A)' })?.matchingFirst).toBe(false);
    expect(swapOptions({ ...item, question: 'Do you like rain?' })).toBeNull();
    expect(swapOptions({ ...item, question: `${item.question}\n (C) Perhaps` })).toBeNull();
    expect(swapOptions({ ...item, matching: ' Yes', notMatching: ' No' })).toBeNull();
  });

  it('tell bias of position from preference', () => {
    const items = letterItems([item], encode);
    const given = (sums: number[]) => sums.map((sum) => ({ sum, tokens: 1, kl: null, edits: 0 }));
    // Always the first letter: wanted is (A), then (B).
    const biased = letterValues(items, given([-1, -3, -3, -1]));
    expect(biased.logOdds).toEqual([0]);
    expect(biased.first[0]).toBeCloseTo(1 / (1 + Math.exp(-2)), 12);
    // Always the matching text, wherever it stands.
    const fond = letterValues(items, given([-1, -3, -1, -3]));
    expect(fond.logOdds).toEqual([2]);
    expect(fond.first[0]).toBeCloseTo(0.5, 12);
  });
});
