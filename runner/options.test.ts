import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TillerError } from '../src/errors/error.ts';
import { parseOptions, type OptionName } from './options.ts';

const allowed: OptionName[] = ['model', 'prompt', 'factor', 'seed', 'top-p', 'json', 'help'];
const parse = (...argv: string[]) => parseOptions('generate', argv, allowed);
const problem = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof TillerError && error.code === 'usage') return error.message;
    throw error;
  }
  return '';
};

describe('options of the command line', () => {
  it('takes values after a space and after an equals sign', () => {
    expect(parse('--model', 'a', '--seed=3').text('model')).toBe('a');
    expect(parse('--model', 'a', '--seed=3').integer('seed', 0)).toBe(3);
  });

  it('takes negative numbers and texts that start with a dash as values', () => {
    expect(parse('--factor', '-2', '--factor', '-.5').numbers('factor')).toEqual([-2, -0.5]);
    expect(parse('--prompt', '- a list').text('prompt')).toBe('- a list');
  });

  it('keeps any prompt as it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parse(`--prompt=${text}`).text('prompt')).toBe(text);
        if (!text.startsWith('--')) expect(parse('--prompt', text).text('prompt')).toBe(text);
      }),
    );
  });

  it('refuses unknown options, words left over, missing values and repetition', () => {
    expect(problem(() => parse('--modle', 'a'))).toContain('--modle');
    expect(problem(() => parse('a'))).toContain('"a"');
    expect(problem(() => parse('--model'))).toContain('--model');
    expect(problem(() => parse('--model', 'a', '--model', 'b'))).toContain('twice');
    expect(problem(() => parse('--json=yes'))).toContain('json');
  });

  it('refuses what is not a number, and numbers out of bounds', () => {
    for (const text of ['', 'x', '1e999', 'NaN', '0x', ' ']) expect(problem(() => parse(`--seed=${text}`).integer('seed', 0))).not.toBe('');
    expect(problem(() => parse('--seed', '1.5').integer('seed', 0))).toContain('whole');
    expect(problem(() => parse('--seed', '-1').integer('seed', 0))).toContain('at least 0');
    expect(problem(() => parse('--top-p', '2').number('top-p', 0, 1))).toContain('from 0 to 1');
  });
});
