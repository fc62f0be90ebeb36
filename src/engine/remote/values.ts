import { TillerError } from '../../errors/error.ts';
import { isRecord } from '../../formats/json.ts';

/**
 * Results as JSON and arrays beside it. An f32 array becomes `{ "$f32": length }` and its values travel as little-endian bytes, in the order in which
 * the arrays appear; numbers that JSON cannot say become `{ "$number": "-Infinity" }`; a key that begins with `$` gets another one in front. What comes out is
 * equal to what went in, bit for bit.
 */
export interface Packed {
  readonly value: unknown;
  readonly arrays: readonly Float32Array[];
}

const unspoken: Readonly<Record<string, number>> = { NaN: Number.NaN, Infinity: Infinity, '-Infinity': -Infinity, '-0': -0 };
const nameOf = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

/** Depth of a result; what is deeper is no result of ours. */
const MAX_DEPTH = 32;

export function pack(value: unknown): Packed {
  const arrays: Float32Array[] = [];
  const walk = (part: unknown): unknown => {
    if (typeof part === 'number') return Number.isFinite(part) && !Object.is(part, -0) ? part : { $number: nameOf(part) };
    if (part instanceof Float32Array) {
      arrays.push(part);
      return { $f32: part.length };
    }
    if (Array.isArray(part)) return part.map(walk);
    if (!isRecord(part)) return part;
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key.startsWith('$') ? `$${key}` : key, walk(inner)]));
  };
  return { value: walk(value), arrays };
}

/** Lengths of the arrays that belong to a packed value, in their order. @throws runner/answer */
export function arrayLengths(value: unknown): number[] {
  const lengths: number[] = [];
  rebuild(value, (length) => {
    lengths.push(length);
    return null;
  });
  return lengths;
}

/** The value that was packed. @param arrays as many as arrayLengths gives, of those lengths @throws runner/answer */
export function unpack(value: unknown, arrays: readonly Float32Array[]): unknown {
  let next = 0;
  return rebuild(value, () => arrays[next++]);
}

function rebuild(value: unknown, array: (length: number) => unknown): unknown {
  const walk = (part: unknown, depth: number): unknown => {
    if (depth > MAX_DEPTH) throw wrong('it is nested too deeply');
    if (Array.isArray(part)) return part.map((inner) => walk(inner, depth + 1));
    if (!isRecord(part)) return part;
    if ('$f32' in part) {
      const length = part.$f32;
      if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0) throw wrong('an array has no length');
      return array(length);
    }
    if ('$number' in part) {
      const name = part.$number;
      if (typeof name !== 'string' || !Object.hasOwn(unspoken, name)) throw wrong('a number is unknown');
      return unspoken[name];
    }
    return Object.fromEntries(
      Object.entries(part).map(([key, inner]) => [key.startsWith('$$') ? key.slice(1) : key, walk(inner, depth + 1)]),
    );
  };
  return walk(value, 0);
}

const wrong = (problem: string): TillerError => new TillerError('runner/answer', { problem });
