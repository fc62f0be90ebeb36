import type { BoundGraph, Lane } from '../graph/document.ts';

/**
 * Something to compare: a graph with a lane's strengths. Conditions of one graph are lanes of one run; the unedited model is always
 * measured with them and is not listed.
 */
export interface Condition {
  /** Unique within a study, stable: part of what results are kept under. */
  readonly name: string;
  readonly graph: BoundGraph;
  readonly lane: Lane;
}

/** A number with the 95 % interval of a bootstrap over its independent units. */
export interface Estimate {
  readonly value: number;
  readonly interval: readonly [number, number];
  /** Units resampled: questions, documents. */
  readonly units: number;
}

/** What an intervention costs, on neutral texts that are the same for all conditions. */
export interface Damage {
  /** Cross entropy in nats a token. */
  readonly crossEntropy: Estimate;
  /** Mean over tokens of KL(unedited || edited), nats. 0 for the unedited model. */
  readonly kl: Estimate;
}
