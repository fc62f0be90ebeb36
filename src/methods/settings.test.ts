import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { readSelector, readSettings, settingFromText } from './settings.ts';

const method = {
  name: 'test',
  settings: {
    alpha: { kind: 'number', default: 15, least: -10, most: 20, doc: '' },
    count: { kind: 'integer', default: 0, least: 0, most: 9, doc: '' },
    kind: { kind: 'choice', default: 'a', options: ['a', 'b'], doc: '' },
    on: { kind: 'flag', default: false, doc: '' },
    tokens: { kind: 'selector', default: 'generated', doc: '' },
  },
} as const;

describe('settings of a method', () => {
  it('fills in defaults', () => {
    expect(readSettings(method, {})).toEqual({ alpha: 15, count: 0, kind: 'a', on: false, tokens: 'generated' });
    expect(readSettings(method, { alpha: -2.5, tokens: '{"from":-2}' })).toMatchObject({ alpha: -2.5, tokens: '{"from":-2}' });
  });

  it.each([
    [{ alhpa: 1 }, 'alhpa'],
    [{ alpha: 21 }, 'alpha'],
    [{ alpha: NaN }, 'alpha'],
    [{ alpha: '3' }, 'alpha'],
    [{ count: 1.5 }, 'count'],
    [{ kind: 'c' }, 'kind'],
    [{ on: 'true' }, 'on'],
    [{ tokens: 'sometimes' }, 'tokens'],
    [{ tokens: '{"from":1,"two":2}' }, 'tokens'],
    [{ tokens: '{' }, 'tokens'],
    [{ constructor: 1 }, 'constructor'],
  ])('refuses %j', (given, setting) => {
    let caught: unknown = null;
    try {
      readSettings(method, given);
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({ code: 'method/settings', details: { setting, method: 'test' } });
  });

  it('takes anything with a result or a named error', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(fc.constantFrom('alpha', 'count', 'kind', 'on', 'tokens'), fc.string()), fc.anything()),
        (given) => {
          try {
            expect(Object.keys(readSettings(method, given)).sort()).toEqual(['alpha', 'count', 'kind', 'on', 'tokens']);
          } catch (error) {
            expect(error).toBeInstanceOf(TillerError);
          }
        },
      ),
    );
  });

  it('reads what a person types', () => {
    expect(settingFromText(method, 'alpha', '1e1')).toBe(10);
    expect(settingFromText(method, 'on', 'true')).toBe(true);
    expect(settingFromText(method, 'kind', 'b')).toBe('b');
    expect(() => settingFromText(method, 'count', ' ')).toThrow(/expected a number/);
    expect(() => settingFromText(method, 'on', 'yes')).toThrow(/true or false/);
    expect(() => settingFromText(method, 'off', '1')).toThrow(/unknown/);
  });

  it('reads selectors as words and as JSON', () => {
    expect(readSelector('last')).toBe('last');
    expect(readSelector('{"any":["last",{"at":[1]}]}')).toEqual({ any: ['last', { at: [1] }] });
    expect(readSelector('')).toBeNull();
  });
});
