import type { Quantization } from './weights.ts';

/**
 * A few logits that a model must give, computed once in 64-bit floats: what the self-test at load compares with, so that a
 * driver that computes something else is found before anyone trusts what it writes.
 */
export interface Fingerprint {
  readonly model: string;
  /** Identity of the weights (`WeightSource.identity`). */
  readonly identity: string;
  readonly tokens: readonly number[];
  /** Logits after the last token, at these ids. */
  readonly ids: readonly number[];
  readonly logits: readonly number[];
  /** Largest allowed difference of a logit, by how the weights are kept; quantised weights are other weights. */
  readonly allowed: Readonly<Record<Quantization, number>>;
}

const fingerprints: readonly Fingerprint[] = [];

/** The fingerprint of these weights, or null where none is stored. */
export function storedFingerprint(identity: string): Fingerprint | null {
  return fingerprints.find((entry) => entry.identity === identity) ?? null;
}
