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

const fingerprints: readonly Fingerprint[] = [
  {
    model: 'stories15M',
    identity: 'sampled-sha256:513fb5f61e0b2d0d6617ede714c5a63dac7c869b77b926e4032232f42c06f41e',
    // "Once upon a time, there was a little girl named Lily."
    tokens: [1, 9038, 2501, 263, 931, 29892, 727, 471, 263, 2217, 7826, 4257, 365, 2354, 29889],
    ids: [2296, 3118, 365, 739, 20628, 612, 7569, 2439, 1551, 1183, 910, 29931],
    logits: [20.3043, 17.8889, 17.444, 13.6874, 13.2772, 13.0256, 12.1555, 11.1135, 10.0749, 9.949, 9.2377, 8.7314],
    // Measured in 64-bit floats with the weights rounded: 16 bits 0.005, q8 0.14, q4 2.0; a wrong rotary order moves them by over 6.
    allowed: { none: 0.05, q8: 0.5, q4: 4 },
  },
];

/** The fingerprint of these weights, or null where none is stored. */
export function storedFingerprint(identity: string): Fingerprint | null {
  return fingerprints.find((entry) => entry.identity === identity) ?? null;
}
