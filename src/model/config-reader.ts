import { TillerError } from '../errors/error.ts';

export function refuseConfig(problem: string): never {
  throw new TillerError('model/config', { problem });
}

const show = (value: unknown): string => (JSON.stringify(value) ?? 'undefined').slice(0, 100);

/** Typed reading of config.json: a key that is absent or null takes the default, a wrong one is an error, never a guess. */
export class ConfigReader {
  readonly json: Readonly<Record<string, unknown>>;
  constructor(json: Readonly<Record<string, unknown>>) {
    this.json = json;
  }

  absent(key: string): boolean {
    return (this.json[key] ?? null) === null;
  }

  /** A whole number from 1 to `limit`. */
  count(key: string, fallback: number | null, limit: number): number {
    const value = this.json[key] ?? fallback;
    if (value === null) return refuseConfig(`${key} is missing`);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
      return refuseConfig(`${key} is ${show(value)}, expected a whole number from 1`);
    if (value > limit) return refuseConfig(`${key} is ${value}, the limit is ${limit}`);
    return value;
  }

  positive(key: string, fallback: number | null): number {
    const value = this.json[key] ?? fallback;
    if (value === null) return refuseConfig(`${key} is missing`);
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0)
      return refuseConfig(`${key} is ${show(value)}, expected a positive number`);
    return value;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.json[key] ?? fallback;
    if (typeof value !== 'boolean') return refuseConfig(`${key} is ${show(value)}, expected true or false`);
    return value;
  }

  text(key: string, fallback: string): string {
    const value = this.json[key] ?? fallback;
    if (typeof value !== 'string') return refuseConfig(`${key} is ${show(value)}, expected a text`);
    return value;
  }

  /** A token id, or null. Some configs give a list; its first entry counts. */
  id(key: string): number | null {
    const value: unknown = this.json[key] ?? null;
    const first: unknown = Array.isArray(value) ? (value[0] ?? null) : value;
    if (first === null) return null;
    if (typeof first !== 'number' || !Number.isSafeInteger(first) || first < 0)
      return refuseConfig(`${key} is ${show(value)}, expected a token id`);
    return first;
  }
}
