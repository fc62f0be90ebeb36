import { describe, expect, it } from 'vitest';
import { defaultChoice, labelList, numberList, readChoice } from './fit-choice.ts';

describe('what was chosen on the Fit page', () => {
  it('comes back from storage as it was', () => {
    const stored: unknown = JSON.parse(JSON.stringify(defaultChoice));
    expect(readChoice(stored)).toEqual(defaultChoice);
  });

  it('is nothing where storage holds something else', () => {
    for (const stored of [null, 3, {}, { ...defaultChoice, source: { kind: 'nowhere' } }]) expect(readChoice(stored)).toBeNull();
  });

  it('reads lists that are typed', () => {
    expect(labelList(' a, b ,,')).toEqual(['a', 'b']);
    expect(labelList('  ')).toBeUndefined();
    expect(numberList('0.5, 1 −2', false)).toEqual([0.5, 1, -2]);
    expect(numberList('1, x', false)).toBeNull();
    expect(numberList('1, 1', false)).toBeNull();
    expect(numberList('1.5', true)).toBeNull();
    expect(numberList('', true)).toEqual([]);
  });
});
