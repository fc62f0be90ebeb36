import { TillerError } from '../../errors/error.ts';
import type { GgufValue } from '../../formats/gguf.ts';

const show = (value: GgufValue): string => String(value).slice(0, 100);

/** Typed reading of GGUF metadata: a key that is absent takes the default, a wrong one is an error. Remembers what was read. */
export class Metadata {
  private readonly read = new Set<string>();
  private readonly values: ReadonlyMap<string, GgufValue>;
  private readonly file: string;

  constructor(values: ReadonlyMap<string, GgufValue>, file: string) {
    this.values = values;
    this.file = file;
  }

  refuse(problem: string): never {
    throw new TillerError('model/file', { file: this.file, problem });
  }

  has(key: string): boolean {
    return this.values.has(key);
  }

  text(key: string): string | null {
    const value = this.take(key);
    if (value === undefined) return null;
    return typeof value === 'string' ? value : this.refuse(`the key ${key} is not a text`);
  }

  number(key: string): number | null {
    const value = this.take(key);
    if (value === undefined) return null;
    return typeof value === 'number' && Number.isFinite(value) ? value : this.refuse(`the key ${key} is ${show(value)}, expected a number`);
  }

  /** A number stored as f32, as the short decimal that it was before. */
  decimal(key: string): number | null {
    const value = this.number(key);
    return value === null ? null : Number(value.toPrecision(7));
  }

  /** A number, or one number for every layer where all are equal: layers that differ are not computed. */
  uniform(key: string): number | null {
    const value = this.take(key);
    if (!Array.isArray(value)) return this.number(key);
    const [first] = value as readonly GgufValue[];
    if (typeof first !== 'number' || !value.every((one) => one === first)) this.refuse(`the key ${key} differs from layer to layer`);
    return first;
  }

  flag(key: string): boolean | null {
    const value = this.take(key);
    if (value === undefined) return null;
    return typeof value === 'boolean' ? value : this.refuse(`the key ${key} is ${show(value)}, expected true or false`);
  }

  texts(key: string): readonly string[] | null {
    const value = this.take(key);
    if (value === undefined) return null;
    if (!Array.isArray(value) || !value.every((one) => typeof one === 'string'))
      return this.refuse(`the key ${key} is not a list of texts`);
    return value;
  }

  numbers(key: string): readonly number[] | null {
    const value = this.take(key);
    if (value === undefined) return null;
    if (!Array.isArray(value) || !value.every((one) => typeof one === 'number'))
      return this.refuse(`the key ${key} is not a list of numbers`);
    return value;
  }

  /** Keys that need no reading. */
  skip(keys: readonly string[]): void {
    for (const key of keys) this.read.add(key);
  }

  /** Keys with this beginning that nothing asked for. */
  unread(prefix: string): string[] {
    return [...this.values.keys()].filter((key) => key.startsWith(prefix) && !this.read.has(key));
  }

  private take(key: string): GgufValue | undefined {
    this.read.add(key);
    return this.values.get(key);
  }
}
