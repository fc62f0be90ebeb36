/**
 * The random stream of sampling, the same in every engine (shaders/sample.wgsl repeats it).
 *
 * Rule (Gumbel-max): of the kept tokens, take the one with the largest `logit / temperature + noise(seed, position, token)`,
 * the lowest id on ties. `position` is the position that is predicted FROM: the index of the last token fed to the model. Kept are
 * first the topK largest logits (ties at the threshold kept), then of those the smallest set of most likely tokens whose
 * probability, at this temperature and renormalised over what topK kept, reaches topP (ties at the threshold kept).
 * Temperature 0 is greedy: the largest logit, the lowest id on ties.
 *
 * The noise depends on nothing but seed, position and token, so lanes with one seed share their stream whatever their logits are:
 * what differs between them is the steering. It also needs no state between tokens and no order between tokens.
 */

/** PCG-RXS-M-XS 32 (O'Neill 2014; as a hash: Jarzynski and Olano 2020). u32 to u32, a bijection. */
export function pcg(value: number): number {
  const state = (Math.imul(value, 747796405) + 2891336453) >>> 0;
  const word = Math.imul(((state >>> ((state >>> 28) + 4)) ^ state) >>> 0, 277803737) >>> 0;
  return ((word >>> 22) ^ word) >>> 0;
}

/** The u32 of (seed, position, token): pcg(pcg(pcg(seed) ^ position) ^ token). */
export function hash(seed: number, position: number, token: number): number {
  return hashToken(hashPosition(seed, position), token);
}

/** The part of `hash` that a row of logits shares. */
export function hashPosition(seed: number, position: number): number {
  return pcg((pcg(seed >>> 0) ^ position) >>> 0);
}

export function hashToken(row: number, token: number): number {
  return pcg((row ^ token) >>> 0);
}

/**
 * Uniform in (0, 1), ends excluded: (top 23 bits + 1/2) / 2^23. 23 bits and the half need 24 bits of mantissa, so the value is exact
 * in f32; with 24 bits the largest would round to 1 in a shader, and its noise would be infinite.
 */
export function uniform(bits: number): number {
  return ((bits >>> 9) + 0.5) / 8388608;
}

/** Standard Gumbel noise, between -2.82 and 16.64. */
export function gumbel(bits: number): number {
  return -Math.log(-Math.log(uniform(bits)));
}

/** Noise of a token at a position. */
export function noise(seed: number, position: number, token: number): number {
  return gumbel(hash(seed, position, token));
}
