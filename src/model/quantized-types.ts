import type { Quantization } from './weights.ts';

/** Types whose integers the engines' own groups of 32 can hold as they are; see docs/models.md for the conditions. */
const own: Readonly<Record<string, Quantization>> = { Q8_0: 'q8', Q4_0: 'q4', 'int4 symmetric in 32': 'q4', 'int8 symmetric in 32': 'q8' };
const full: readonly string[] = ['F32', 'F16', 'BF16'];

/**
 * How a file's weights are best kept: as they are where they are floating point, as its own integers where the layout is the same,
 * and otherwise as q8, which moves weights of 8 bits and fewer by less than a percent.
 * @param types of the matrices, the commonest first
 */
export function suggestedFor(types: readonly string[]): Quantization {
  const most = types.at(0);
  if (most === undefined || full.includes(most)) return 'none';
  return Object.hasOwn(own, most) ? own[most] : 'q8';
}
