import * as v from 'valibot';
import { TillerError } from '../errors/error.ts';
import type { Selector } from '../graph/document.ts';
import { graphSchemaParts } from '../graph/schema.ts';
import type { Method, SettingRow, Settings } from './method.ts';

/** The type of a setting's value, by its row. */
type Value<Row extends SettingRow> = Row extends { readonly kind: 'number' | 'integer' }
  ? number
  : Row extends { readonly kind: 'flag' }
    ? boolean
    : Row extends { readonly kind: 'choice'; readonly options: readonly (infer Option)[] }
      ? Option
      : string;
export type SettingRows = Readonly<Record<string, SettingRow>>;
export type SettingsOf<Rows extends SettingRows> = { readonly [Key in keyof Rows]: Value<Rows[Key]> };

export const settingsError = (method: string, setting: string, problem: string): TillerError =>
  new TillerError('method/settings', { method, setting, problem });

const shown = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value));

/** What is wrong with a value, or null. */
function problemOf(row: SettingRow, value: unknown): string | null {
  switch (row.kind) {
    case 'number':
    case 'integer':
      if (typeof value !== 'number' || !Number.isFinite(value)) return `expected a number, got ${shown(value)}`;
      if (row.kind === 'integer' && !Number.isInteger(value)) return `expected a whole number, got ${value}`;
      return value < row.least || value > row.most ? `${value} is outside ${row.least} to ${row.most}` : null;
    case 'flag':
      return typeof value === 'boolean' ? null : `expected true or false, got ${shown(value)}`;
    case 'choice':
      return typeof value === 'string' && row.options.includes(value)
        ? null
        : `expected one of ${row.options.join(', ')}, got ${shown(value)}`;
    case 'selector':
      if (typeof value !== 'string') return `expected a selector as text, got ${shown(value)}`;
      return readSelector(value) === null ? `${shown(value)} is no selector of docs/graph.md` : null;
  }
}

/**
 * Settings of a method with every default filled in, typed by its rows.
 * @throws method/settings for an unknown key, a value of another kind or out of range
 */
export function readRows<Rows extends SettingRows>(method: string, rows: Rows, given: Readonly<Record<string, unknown>>): SettingsOf<Rows> {
  const wrong = (setting: string, problem: string): TillerError => settingsError(method, setting, problem);
  for (const key of Object.keys(given))
    if (!Object.hasOwn(rows, key)) throw wrong(key.slice(0, 100), `is unknown; there are ${Object.keys(rows).join(', ')}`);
  const values: Record<string, unknown> = {};
  for (const [key, row] of Object.entries(rows)) {
    const value = Object.hasOwn(given, key) && given[key] !== undefined ? given[key] : row.default;
    const problem = problemOf(row, value);
    if (problem !== null) throw wrong(key, problem);
    values[key] = value;
  }
  return values as SettingsOf<Rows>;
}

/**
 * What a recipe gives, checked, with every default filled in.
 * @throws method/settings
 */
export function readSettings(method: Pick<Method, 'name' | 'settings'>, given: Readonly<Record<string, unknown>>): Settings {
  return readRows(method.name, method.settings, given);
}

/**
 * A setting typed by a person: numbers, true and false from text; everything else as it is. Ranges are checked by `readSettings`.
 * @throws method/settings where a number or a flag is not one
 */
export function settingFromText(method: Pick<Method, 'name' | 'settings'>, setting: string, text: string): number | string | boolean {
  const wrong = (problem: string): TillerError => settingsError(method.name, setting, problem);
  if (!Object.hasOwn(method.settings, setting)) throw wrong(`is unknown; there are ${Object.keys(method.settings).join(', ')}`);
  const { kind } = method.settings[setting];
  if (kind === 'flag') {
    if (text !== 'true' && text !== 'false') throw wrong(`expected true or false, got ${shown(text)}`);
    return text === 'true';
  }
  if (kind !== 'number' && kind !== 'integer') return text;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw wrong(`expected a number, got ${shown(text)}`);
  return value;
}

/** A selector from the text of a setting: a word (`generated`) or the JSON of docs/graph.md (`{"from":-2}`); null where it is neither. */
export function readSelector(text: string): Selector | null {
  let value: unknown = text;
  if (text.startsWith('{')) {
    try {
      value = JSON.parse(text);
    } catch {
      return null;
    }
  }
  const result = v.safeParse(graphSchemaParts.selector, value);
  return result.success ? result.output : null;
}

/** The selector of a setting that was read before. */
export function selectorOf(text: string): Selector {
  const selector = readSelector(text);
  if (selector === null) throw new TillerError('internal', { problem: `the selector ${shown(text)} was not checked` });
  return selector;
}
