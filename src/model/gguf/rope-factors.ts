import { ropeFrequencies } from '../rope.ts';

/** Llama 3's rule has two more numbers, which every published model sets to these. */
const LOW = 1;
const HIGH = 4;
const ORIGINAL = 8192;
/** Factors were computed in f32. */
const TOLERANCE = 1e-3;

/**
 * `rope_scaling` of a config.json from the divisors of rotary frequencies that a GGUF file keeps in its place: the file has the
 * result of Llama 3's rule, not the rule, so the rule is found again and checked against every divisor.
 * @param factors [headDim / 2]
 * @param original context length before scaling, where the metadata has it
 */
export function scalingOfFactors(
  factors: Float32Array,
  theta: number,
  original: number | null,
  refuse: (problem: string) => never,
): Record<string, unknown> | null {
  if (factors.every((factor) => factor === 1)) return null;
  const factor = Number(factors.reduce((most, one) => Math.max(most, one), 0).toPrecision(5));
  if (!(factor > 1 && Number.isFinite(factor))) return refuse('the divisors in rope_freqs.weight are not above 1');
  const plain = ropeFrequencies({ theta, scaling: null }, factors.length * 2);
  for (const positions of original === null ? [ORIGINAL] : [original, ORIGINAL]) {
    const scaling = { type: 'llama3' as const, factor, lowFreqFactor: LOW, highFreqFactor: HIGH, originalMaxPositions: positions };
    const scaled = ropeFrequencies({ theta, scaling }, factors.length * 2);
    if (factors.every((one, i) => Math.abs((one * scaled[i]) / plain[i] - 1) < TOLERANCE)) {
      return {
        rope_type: 'llama3',
        factor,
        low_freq_factor: LOW,
        high_freq_factor: HIGH,
        original_max_position_embeddings: positions,
      };
    }
  }
  return refuse('the divisors in rope_freqs.weight follow no rule that is known');
}
