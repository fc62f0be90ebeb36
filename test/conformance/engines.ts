import type { Engine } from '../../src/engine/engine.ts';
import type { LoadOptions } from '../../src/engine/options.ts';
import { createReferenceEngine } from '../../src/engine/reference/index.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import type { WeightSource } from '../../src/model/weights.ts';

/** How close an engine must come to the goldens. */
export interface Accuracy {
  /** Factor on the tolerances of case.json: 1 for f32 engines, which is what they were measured for. */
  readonly factor: number;
  /** Added to the tolerances of logits and values, as a multiple of how far half-rounded weights move the logits. 0 for f32. */
  readonly half: number;
  /**
   * How far one computation may be off from itself when it is batched or cut another way, in log-probabilities and values of order one:
   * 0 where every row is computed by itself in one order, else what another order of summation does.
   */
  readonly order: number;
}

export const plain: Accuracy = { factor: 1, half: 0, order: 0 };

/** One row of the conformance suite. */
export interface EngineUnderTest {
  readonly name: string;
  readonly accuracy: Accuracy;
  open(spec: ModelSpec, source: WeightSource, options?: Partial<LoadOptions>): Promise<Engine>;
  /** Why this row cannot run here. */
  readonly skip?: string;
}

/** A clock for engines under test: real time, because loops give way by it. */
export const now = (): number => performance.now();

export const referenceEngine: EngineUnderTest = {
  name: 'reference',
  accuracy: plain,
  open: (spec, source, options = {}) => createReferenceEngine(spec, source, { now, ...options }),
};
