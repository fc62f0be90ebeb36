import { TillerError } from '../errors/error.ts';
import type { SettingRow } from '../methods/method.ts';
import { readRows } from '../methods/settings.ts';

/** A setting's name as words: `randomHeads` is `Random heads`. */
export function settingTitle(key: string): string {
  const words = key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What is wrong with a value, as a sentence; null where nothing is. */
export function settingProblem(row: SettingRow, value: number | string | boolean): string | null {
  try {
    readRows('this method', { value: row }, { value });
    return null;
  } catch (cause) {
    if (cause instanceof TillerError) return `This is not taken: ${cause.details.problem}.`;
    throw cause;
  }
}
